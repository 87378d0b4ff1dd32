//! Who flies where: airports with positions, carriers with hubs and market shares, and the flights of a timetable.

use crate::random::Random;

/// An airport.
pub(crate) struct Airport {
    /// Its code, such as `ORD`.
    pub(crate) code: &'static str,
    /// Miles from the centre of the earth, so that distances need no trigonometry (whose last bit machines disagree on).
    position: [f64; 3],
    /// Hours that its clocks are ahead of UTC; no summer time.
    pub(crate) utc_hours: i32,
    /// Flights that used this airport or one above it in the table.
    uses_so_far: u32,
}

/// A carrier.
pub(crate) struct Carrier {
    /// Its code, such as `PA (1)`.
    pub(crate) code: &'static str,
    /// The end of its tail numbers.
    pub(crate) tail: &'static str,
    /// The airports most of its flights touch, as indices, the greatest first.
    hubs: Vec<usize>,
    /// Its share of the flights of each year from 1987 on, in 1/1000.
    pub(crate) share: Vec<u32>,
}

/// A flight as the timetable has it.
pub(crate) struct Flight {
    /// The flight number.
    pub(crate) number: u32,
    /// Index of the airport it leaves.
    pub(crate) origin: usize,
    /// Index of the airport it goes to.
    pub(crate) dest: usize,
    /// Miles between them.
    pub(crate) distance: i32,
    /// Scheduled departure, minutes after midnight.
    pub(crate) departure: i32,
    /// Scheduled minutes from gate to gate.
    pub(crate) elapsed: i32,
    /// Minutes in the air on an average day.
    pub(crate) air: i32,
    /// Days of the week it flies, bit 0 for Monday.
    pub(crate) weekdays: u8,
}

/// Airports and carriers, as the airline sample in `testdata/` has them.
pub(crate) struct Network {
    /// All airports, the busiest first.
    pub(crate) airports: Vec<Airport>,
    /// All carriers, by code.
    pub(crate) carriers: Vec<Carrier>,
}

impl Network {
    /// The network of the tables beside this file.
    pub(crate) fn new() -> Self {
        let mut uses_so_far = 0;
        let airports: Vec<Airport> = rows(include_str!("airports.csv"))
            .map(|row| {
                uses_so_far += number(row[5]) as u32;
                let position = [row[1], row[2], row[3]].map(|miles| f64::from(number(miles)));
                Airport { code: row[0], position, utc_hours: number(row[4]), uses_so_far }
            })
            .collect();
        let index = |code: &str| airports.iter().position(|airport| airport.code == code).expect("a hub is an airport");
        let carriers = rows(include_str!("carriers.csv"))
            .map(|row| Carrier {
                code: row[0],
                tail: row[1],
                hubs: row[2].split(' ').map(index).collect(),
                share: row[3..].iter().map(|share| number(share) as u32).collect(),
            })
            .collect();
        Network { airports, carriers }
    }

    /// The `ordinal`-th flight of a carrier; the same whoever asks.
    pub(crate) fn flight(&self, seed: u64, carrier: usize, ordinal: u32) -> Flight {
        let random = &mut Random::new(seed, &[carrier as u64, u64::from(ordinal), 1]);
        let (origin, dest, distance) = self.route(carrier, random);
        let air = 18 + distance * 2 / 15;
        let slack = random.below(9) as i32;
        let departure =
            360 + 5 * random.below(190) as i32 + if random.chance(1, 3) { random.below(5) as i32 } else { 0 };
        let weekdays = match random.below(20) {
            0..8 => 0b111_1111,
            8..13 => 0b001_1111,
            13..15 => 0b101_1111,
            _ => 1 << random.below(7) | 1 << random.below(7) | 1 << random.below(7),
        };
        let number = 3 * ordinal + 1 + random.below(3);
        Flight { number, origin, dest, distance, departure, elapsed: air + 19 + slack, air, weekdays }
    }

    fn route(&self, carrier: usize, random: &mut Random) -> (usize, usize, i32) {
        let hubs = &self.carriers[carrier].hubs;
        loop {
            let here = match random.below(20) {
                0..8 => hubs[0],
                8..13 => hubs[1],
                13..16 => hubs[2],
                _ => self.airport(random),
            };
            let there = self.airport(random);
            let distance = self.distance(here, there);
            if (60..2800).contains(&distance) {
                return if random.chance(1, 2) { (here, there, distance) } else { (there, here, distance) };
            }
        }
    }

    /// An airport, busy ones more often.
    fn airport(&self, random: &mut Random) -> usize {
        let total = self.airports.last().map_or(0, |airport| airport.uses_so_far);
        let use_number = random.below(total);
        self.airports.partition_point(|airport| airport.uses_so_far <= use_number)
    }

    /// Miles over the surface, from the straight line by the series of the arcsine.
    fn distance(&self, a: usize, b: usize) -> i32 {
        let (a, b) = (self.airports[a].position, self.airports[b].position);
        let square: f64 = (0..3).map(|axis| (a[axis] - b[axis]) * (a[axis] - b[axis])).sum();
        let chord = square.sqrt();
        let bend = square / (4.0 * 3959.0 * 3959.0);
        (chord * (1.0 + bend * (1.0 / 6.0 + bend * (3.0 / 40.0 + bend * (15.0 / 336.0)))) + 0.5) as i32
    }
}

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().skip(1).map(|line| line.split(',').collect())
}

fn number(text: &str) -> i32 {
    text.parse().expect("the tables hold numbers")
}
