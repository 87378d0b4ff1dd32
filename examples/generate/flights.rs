//! The rows: one year of flights, in the order, with the gaps and with the skew of the real files.
//!
//! Rows go by month, carrier, flight and day, so that neighbours resemble each other and compress as the real files
//! do. Delays follow the quantiles of the real sample; what stands where nothing is known follows its habits by year.

use crate::network::{Carrier, Flight, Network};
use crate::random::{Quantiles, Random};
use std::io::{self, Write};

/// The first year, and the number of years, that there are tables for.
pub(crate) const YEARS: std::ops::RangeInclusive<u32> = 1987..=2008;

/// The columns.
pub(crate) const HEADER: &[u8] = b"Year,Month,DayofMonth,DayOfWeek,DepTime,CRSDepTime,ArrTime,CRSArrTime,\
UniqueCarrier,FlightNum,TailNum,ActualElapsedTime,CRSElapsedTime,AirTime,ArrDelay,DepDelay,Origin,Dest,Distance,TaxiIn,\
TaxiOut,Cancelled,CancellationCode,Diverted,CarrierDelay,WeatherDelay,NASDelay,SecurityDelay,LateAircraftDelay\n";

/// Flights cancelled in each year, in 1/1000.
const CANCELLED: [u32; 22] = [13, 8, 15, 10, 11, 11, 13, 10, 18, 25, 17, 30, 28, 33, 39, 10, 13, 17, 23, 17, 20, 20];

/// Facts to check answers against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Rows, the header not counted.
    pub(crate) rows: u64,
    /// Bytes of text.
    pub(crate) bytes: u64,
    /// Rows that have a `DepDelay`.
    pub(crate) delays: u64,
    /// Sum of `DepDelay`.
    pub(crate) delay_sum: i64,
    /// Least `DepDelay`.
    pub(crate) delay_min: i32,
    /// Greatest `DepDelay`.
    pub(crate) delay_max: i32,
}

impl Facts {
    /// Facts of no row.
    pub(crate) const NONE: Facts =
        Facts { rows: 0, bytes: 0, delays: 0, delay_sum: 0, delay_min: i32::MAX, delay_max: i32::MIN };

    /// Facts of both.
    pub(crate) fn and(self, other: Facts) -> Facts {
        Facts {
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            delays: self.delays + other.delays,
            delay_sum: self.delay_sum + other.delay_sum,
            delay_min: self.delay_min.min(other.delay_min),
            delay_max: self.delay_max.max(other.delay_max),
        }
    }
}

/// What delays look like.
struct Habits {
    departure: Quantiles,
    taxi_in: Quantiles,
    taxi_out: Quantiles,
    air: Quantiles,
}

impl Habits {
    #[rustfmt::skip]
    fn new() -> Self {
        Habits {
            departure: Quantiles::new(&[
                (0, -40), (10, -17), (50, -13), (100, -11), (500, -8), (1000, -6), (2000, -4), (3000, -2),
                (4000, -1), (5000, 0), (6000, 0), (7000, 3), (8000, 11), (9000, 32), (9500, 62), (9900, 146),
                (9950, 190), (9990, 321), (9999, 721), (10_000, 1430),
            ]),
            taxi_in: Quantiles::new(&[
                (0, 1), (500, 2), (2000, 3), (4000, 5), (5000, 5), (7000, 7), (8000, 8), (9000, 11), (9500, 14),
                (9900, 26), (9990, 66), (10_000, 180),
            ]),
            taxi_out: Quantiles::new(&[
                (0, 2), (50, 4), (500, 6), (1000, 8), (3000, 10), (5000, 13), (7000, 17), (8000, 20), (9000, 26),
                (9500, 33), (9900, 58), (9990, 122), (10_000, 218),
            ]),
            air: Quantiles::new(&[
                (0, -22), (100, -14), (1000, -8), (3000, -4), (5000, -1), (7000, 3), (9000, 8), (9900, 17),
                (10_000, 60),
            ]),
        }
    }
}

/// Writes `rows` rows of `year`, after the header.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write_year(network: &Network, seed: u64, year: u32, rows: u64, out: &mut dyn Write) -> io::Result<Facts> {
    let habits = Habits::new();
    let first_month = if year == 1987 { 10 } else { 1 };
    let months = u64::from(13 - first_month);
    let slot = (year - YEARS.start()) as usize;
    let shares: u64 = network.carriers.iter().map(|carrier| u64::from(carrier.share[slot])).sum();
    let slots = months * shares;
    let mut writer = Writer { line: Vec::with_capacity(1 << 17), facts: Facts::NONE, scar: scar(year, rows) };
    writer.line.extend_from_slice(HEADER);
    let mut slots_done = 0;
    for month in first_month..=12 {
        for (number, carrier) in network.carriers.iter().enumerate() {
            let before = rows * slots_done / slots;
            slots_done += u64::from(carrier.share[slot]);
            let quota = rows * slots_done / slots - before;
            let month = Month { network, habits: &habits, seed, year, month, number, carrier };
            month.write(quota, &mut writer, out)?;
        }
    }
    writer.flush(out)?;
    Ok(writer.facts)
}

/// The row of the one byte that is not UTF-8.
fn scar(year: u32, rows: u64) -> Option<u64> {
    (year == 2001).then_some(rows / 2)
}

/// Text not yet written, and what has been.
struct Writer {
    line: Vec<u8>,
    facts: Facts,
    scar: Option<u64>,
}

impl Writer {
    fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.facts.bytes += self.line.len() as u64;
        out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
        self.line.push(b',');
    }

    fn number(&mut self, number: i32) {
        let mut buffer = itoa::Buffer::new();
        self.text(buffer.format(number));
    }

    /// A number, or `NA`.
    fn known(&mut self, number: Option<i32>) {
        match number {
            Some(number) => self.number(number),
            None => self.text("NA"),
        }
    }

    /// Minutes after some midnight as hhmm without leading zeros; midnight itself is 2400.
    fn clock(&mut self, minutes: Option<i32>) {
        self.known(minutes.map(|minutes| match minutes.rem_euclid(1440) {
            0 => 2400,
            minutes => minutes / 60 * 100 + minutes % 60,
        }));
    }
}

/// The flights of one carrier in one month.
struct Month<'a> {
    network: &'a Network,
    habits: &'a Habits,
    seed: u64,
    year: u32,
    month: u32,
    number: usize,
    carrier: &'a Carrier,
}

/// What became of a flight.
struct Outcome {
    departure_delay: Option<i32>,
    air: Option<i32>,
    taxi_in: i32,
    taxi_out: i32,
    cancelled: bool,
    diverted: bool,
}

impl Outcome {
    /// Minutes from gate to gate.
    fn elapsed(&self) -> Option<i32> {
        self.air.map(|air| air + self.taxi_in + self.taxi_out)
    }
}

impl Month<'_> {
    fn write(&self, quota: u64, writer: &mut Writer, out: &mut dyn Write) -> io::Result<()> {
        let stream = [u64::from(self.year), u64::from(self.month), self.number as u64, 2];
        let random = &mut Random::new(self.seed, &stream);
        let mut left = quota;
        for ordinal in 0.. {
            let flight = self.network.flight(self.seed, self.number, ordinal);
            let days = self.days_of_service(random);
            for day in days {
                if left == 0 {
                    return Ok(());
                }
                let weekday = weekday(self.year, self.month, day);
                if flight.weekdays >> (weekday - 1) & 1 == 1 {
                    self.row(&flight, day, weekday, random, writer);
                    left -= 1;
                }
            }
            if writer.line.len() > 1 << 16 {
                writer.flush(out)?;
            }
        }
        Ok(())
    }

    /// Half of the timetable begins, ends or changes within the month.
    fn days_of_service(&self, random: &mut Random) -> std::ops::RangeInclusive<u32> {
        let last = days_in(self.year, self.month);
        match random.below(4) {
            0 => 1..=1 + random.below(last),
            1 => 1 + random.below(last)..=last,
            _ => 1..=last,
        }
    }

    fn outcome(&self, flight: &Flight, random: &mut Random) -> Outcome {
        let cancelled = random.chance(CANCELLED[(self.year - YEARS.start()) as usize], 1000);
        let diverted = !cancelled && random.chance(23, 10_000);
        // Winter and summer, evenings and some carriers are later than the rest.
        let season = if matches!(self.month, 1 | 6 | 7 | 12) { 100 } else { 70 };
        let lateness = season * (60 + flight.departure / 15) / 100 * (80 + 5 * (self.number as i32 * 7 % 9)) / 100;
        let delay = self.habits.departure.draw(random);
        let delay = if delay > 0 { (delay * lateness / 100).min(1435) } else { delay };
        let air = (flight.air + self.habits.air.draw(random) * (60 + flight.air / 2) / 80).max(15);
        Outcome {
            departure_delay: (!cancelled).then_some(delay),
            air: (!cancelled && !diverted).then_some(air),
            taxi_in: if cancelled || diverted { 0 } else { self.habits.taxi_in.draw(random) },
            taxi_out: if cancelled { 0 } else { self.habits.taxi_out.draw(random) },
            cancelled,
            diverted,
        }
    }

    fn row(&self, flight: &Flight, day: u32, weekday: u32, random: &mut Random, writer: &mut Writer) {
        let outcome = self.outcome(flight, random);
        let (from, to) = (&self.network.airports[flight.origin], &self.network.airports[flight.dest]);
        let zone = 60 * (to.utc_hours - from.utc_hours);
        let departed = outcome.departure_delay.map(|delay| flight.departure + delay);
        let elapsed = outcome.elapsed();
        let arrived = departed.zip(elapsed).map(|(departed, elapsed)| departed + elapsed + zone);
        let scheduled_arrival = flight.departure + flight.elapsed + zone;
        let arrival_delay = arrived.map(|arrived| arrived - scheduled_arrival);

        for part in [self.year, self.month, day, weekday] {
            writer.number(part as i32);
        }
        writer.clock(departed);
        writer.clock(Some(flight.departure));
        writer.clock(arrived);
        writer.clock(Some(scheduled_arrival));
        writer.text(self.carrier.code);
        writer.number(flight.number as i32);
        self.tail_number(&outcome, random, writer);
        writer.known(elapsed);
        let schedule_known = !(1995..2000).contains(&self.year) || !random.chance(1, 1000);
        writer.known(schedule_known.then_some(flight.elapsed));
        let since_1995 = self.year >= 1995;
        writer.known(outcome.air.filter(|_| since_1995));
        writer.known(arrival_delay);
        writer.known(outcome.departure_delay);
        writer.text(from.code);
        writer.text(to.code);
        let distance_known = !(1988..=1995).contains(&self.year) || !random.chance(3, 1000);
        writer.known(distance_known.then_some(flight.distance));
        let since_2008 = self.year >= 2008;
        writer.known((since_1995 && !(since_2008 && outcome.air.is_none())).then_some(outcome.taxi_in));
        writer.known((since_1995 && !(since_2008 && outcome.cancelled)).then_some(outcome.taxi_out));
        writer.number(i32::from(outcome.cancelled));
        let causes_known = (self.year, self.month) >= (2003, 6);
        writer.text(match (causes_known, outcome.cancelled) {
            (false, _) => "NA",
            (true, false) => "",
            (true, true) => ["A", "A", "B", "B", "C"][random.below(5) as usize],
        });
        writer.number(i32::from(outcome.diverted));
        self.causes(causes_known, arrival_delay, random, writer);
        writer.line.pop();
        writer.line.push(b'\n');

        writer.facts.rows += 1;
        if let Some(delay) = outcome.departure_delay {
            let one =
                Facts { delays: 1, delay_sum: i64::from(delay), delay_min: delay, delay_max: delay, ..Facts::NONE };
            writer.facts = writer.facts.and(one);
        }
    }

    /// `N` and a number; the carrier's fleet is as large as its share.
    fn tail_number(&self, outcome: &Outcome, random: &mut Random, writer: &mut Writer) {
        if writer.scar == Some(writer.facts.rows) {
            writer.line.extend_from_slice(b"N\xe4");
            return writer.text(self.carrier.tail);
        }
        match (self.year, outcome.cancelled) {
            (..1995, _) => writer.text("NA"),
            (..2003, true) => writer.text("UNKNOW"),
            (..2008, true) => writer.text("0"),
            (2008.., true) => writer.text(""),
            (_, false) => {
                let fleet = 40 + 4 * self.carrier.share[(self.year - YEARS.start()) as usize];
                writer.line.push(b'N');
                writer.number(101 + random.below(fleet) as i32);
                writer.line.pop();
                writer.text(self.carrier.tail);
            }
        }
    }

    /// Who is to blame: told since June 2003 for arrivals 15 minutes late and later, in parts that add up.
    fn causes(&self, known: bool, arrival_delay: Option<i32>, random: &mut Random, writer: &mut Writer) {
        let late = arrival_delay.filter(|delay| *delay >= 15);
        if !known || (self.year >= 2008 && late.is_none()) {
            return (0..5).for_each(|_| writer.text("NA"));
        }
        let mut minutes = [0; 5];
        if let Some(delay) = late {
            // Carrier, weather, air traffic, security, late aircraft.
            let cause = |random: &mut Random| [0, 0, 0, 1, 2, 2, 2, 2, 4, 4, 4, 4][random.below(12) as usize];
            let share = if random.chance(2, 5) { random.below(delay as u32) as i32 } else { 0 };
            minutes[cause(random)] += share;
            minutes[cause(random)] += delay - share;
        }
        minutes.into_iter().for_each(|minutes| writer.number(minutes));
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(year.is_multiple_of(4)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 1 for Monday to 7 for Sunday. (Sakamoto's method.)
fn weekday(year: u32, month: u32, day: u32) -> u32 {
    const SHIFT: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = if month < 3 { year - 1 } else { year };
    let sunday_based = (year + year / 4 - year / 100 + year / 400 + SHIFT[month as usize - 1] + day) % 7;
    if sunday_based == 0 { 7 } else { sunday_based }
}
