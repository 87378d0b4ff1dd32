//! Against NumPy 2.4.6 and R 4.2.2, run with the same seeds.

use super::*;

/// By generator: three each of `random`, `standard_normal` and `standard_exponential`, then `standard_gamma` of five shapes,
/// all from one `Generator`.
const NUMPY: [(&str, [f64; 14]); 9] = [
    (
        "PCG64",
        [
            0.5118216247002567,
            0.9504636963259353,
            0.14415961271963373,
            -1.303157231604361,
            0.9053558666731177,
            0.4463745723640113,
            1.7997970856557877,
            0.498639097854449,
            0.5514213768237073,
            6.322431478399007e-06,
            0.7715284910141852,
            1.677214660515982,
            0.7195553576409524,
            39.91736869070624,
        ],
    ),
    (
        "PCG64 jumped 2",
        [
            0.9009662738594965,
            0.4690754215148055,
            0.2729022973969859,
            0.5869056345825774,
            0.05105180567225389,
            0.6647044254337036,
            2.571734513189443,
            0.8888493093234289,
            1.4562531735434736,
            0.0026949125811226507,
            3.036897486362489,
            1.6049574780757117,
            0.9342616407520707,
            54.30565426153685,
        ],
    ),
    (
        "PCG64 big seed",
        [
            0.18953880000649004,
            0.14377252516156425,
            0.37578929921815596,
            -0.8472334808432873,
            0.4747422642999798,
            -0.9112011352990339,
            1.0924025321648692,
            0.4851748512602744,
            0.9353157703030424,
            0.017089350675618536,
            3.653967435123634,
            0.8647173880569806,
            0.016363645514206927,
            57.22302819452515,
        ],
    ),
    (
        "PCG64DXSM",
        [
            0.27114667457620933,
            0.2793504280621347,
            0.540570961095631,
            0.6282974884767393,
            -1.0230005905784616,
            1.4381564764763108,
            0.34111024139912594,
            0.40234179007173315,
            0.047096393844030554,
            0.06721684051135206,
            0.39727834820825786,
            0.5884662688429584,
            3.1886451716585293,
            53.251392606626645,
        ],
    ),
    (
        "PCG64DXSM jumped 2",
        [
            0.6149213716976585,
            0.6922964627731792,
            0.7834484970150318,
            0.6215194709724048,
            -1.8834898709988166,
            -0.6581044561057605,
            0.76350310371367,
            0.6836076858793757,
            0.16528357613529304,
            0.5028157891146897,
            0.11752360668738653,
            0.3663206083181646,
            1.3683433162219907,
            36.934214277965005,
        ],
    ),
    (
        "PCG64DXSM big seed",
        [
            0.8594696878205805,
            0.8190649905444395,
            0.8880968023543914,
            -2.6264272497155883,
            0.9085906472876687,
            -0.08354651623369311,
            3.9039992678484556,
            0.4727773869375082,
            0.7511816886394176,
            0.11973396653128668,
            0.12206794386902053,
            1.6559105697979184,
            0.9759989339130822,
            41.165314050077676,
        ],
    ),
    (
        "MT19937",
        [
            0.24067553804036945,
            0.7295818709503795,
            0.5583959663728797,
            0.41584996006774017,
            -0.19229690334633434,
            -0.49089093160861696,
            0.26095145962571564,
            1.5907627167753413,
            0.2952797416148076,
            0.014034925308649146,
            0.046905054837541496,
            1.5211462638558124,
            2.7268781837164617,
            36.88361757404178,
        ],
    ),
    (
        "MT19937 jumped 2",
        [
            0.1631353501389522,
            0.4442282969097595,
            0.05723451845916172,
            0.8209507531729626,
            -0.48209291280760896,
            -0.5528613263391613,
            0.252981766527028,
            0.8850504199700652,
            0.1480683168554086,
            0.0004536627591081947,
            0.4179586801385676,
            0.2091354344192387,
            1.4341092239316429,
            30.745237260699454,
        ],
    ),
    (
        "MT19937 big seed",
        [
            0.6000033485009234,
            0.7319816440878059,
            0.11603783388534983,
            -0.23458078916142594,
            0.4992313969343085,
            0.7851350251397796,
            0.5191225718425245,
            0.1039740523569921,
            0.8497644485519502,
            0.0027227200201532936,
            1.236575624654514,
            0.7272679076405822,
            0.6853020287503935,
            36.997301803943,
        ],
    ),
];

fn draws(bits: impl BitGenerator) -> [f64; 14] {
    let mut random = Random::new(bits);
    let shapes = [0.3, 0.999, 1.0, 1.5, 40.0];
    std::array::from_fn(|at| match at {
        0..3 => random.random(),
        3..6 => random.standard_normal(),
        6..9 => random.standard_exponential(),
        _ => random.standard_gamma(shapes[at - 9]),
    })
}

#[test]
fn draws_are_those_of_numpy() {
    let big = (1 << 100) + 12345;
    for (name, expected) in NUMPY {
        let found = match name {
            "PCG64" => draws(Pcg64::new(1)),
            "PCG64 jumped 2" => draws(Pcg64::new(1).jumped(2)),
            "PCG64 big seed" => draws(Pcg64::new(big)),
            "PCG64DXSM" => draws(Pcg64Dxsm::new(1)),
            "PCG64DXSM jumped 2" => draws(Pcg64Dxsm::new(1).jumped(2)),
            "PCG64DXSM big seed" => draws(Pcg64Dxsm::new(big)),
            "MT19937" => draws(Mt19937::new(1)),
            "MT19937 jumped 2" => draws(Mt19937::new(1).jumped(2)),
            _ => draws(Mt19937::new(big)),
        };
        assert_eq!(found, expected, "{name}");
    }
}

/// The sum, modulo 2⁶⁴, of the bits of draws, each times its place from 1 on.
fn digest(draws: usize, mut draw: impl FnMut() -> f64) -> u64 {
    (1..=draws as u64).fold(0, |sum, place| draw().to_bits().wrapping_mul(place).wrapping_add(sum))
}

fn digests(bits: impl BitGenerator) -> [u64; 4] {
    let mut random = Random::new(bits);
    let mut sum = 0_u64;
    let mut so_far = |digest: u64| {
        sum = sum.wrapping_add(digest);
        sum
    };
    [
        so_far(digest(1_000_000, || random.standard_normal())),
        so_far(digest(1_000_000, || random.standard_exponential())),
        so_far(digest(200_000, || random.standard_gamma(0.7))),
        so_far(digest(200_000, || random.standard_gamma(3.3))),
    ]
}

/// So many draws visit every layer of the ziggurats, and their tails.
#[test]
fn millions_of_draws_are_those_of_numpy() {
    let expected = [0x08f3_4e1c_cd80_5d69, 0x4050_dd07_142b_9e7e, 0xb01e_2434_a1de_7186, 0x0195_ea7e_f092_0339];
    assert_eq!(digests(Pcg64::new(99)), expected);
    let expected = [0xd00d_5f47_7cd9_67e5, 0x3185_95a6_1de4_2a2d, 0x902e_b7db_10ff_c8dc, 0x3690_b8d3_35c7_da97];
    assert_eq!(digests(Pcg64Dxsm::new(99)), expected);
    let expected = [0xd9a6_e461_28ec_fb64, 0x93be_096a_bf2c_87fe, 0xed2a_4fde_1aed_ecba, 0xbe4f_1e3e_fb38_83b3];
    assert_eq!(digests(Mt19937::new(99)), expected);
}

#[test]
fn seeds_are_those_of_numpy() {
    let mut seed = SeedSequence::new(42);
    let mut children = seed.spawn(2);
    assert_eq!(seed.generate_u32(4), [3444837047, 2669555309, 2046530742, 3581440988]);
    assert_eq!(children[1].generate_u32(4), [4091952314, 31242083, 366899054, 1794014678]);
    assert_eq!(children[1].spawn(1)[0].generate_u64(2), [16602594785676215480, 7906647105439478345]);
    assert_eq!(SeedSequence::new((1 << 70) + 3).generate_u32(3), [1577814244, 1150883556, 2574053826]);
    let words = SeedSequence::from_words(vec![1, 2, 3, 4, 5, 6], Vec::new());
    assert_eq!(words.generate_u32(3), [488360481, 3956080669, 2986500235]);
    assert_eq!(seed.spawn(1)[0], SeedSequence::new(42).child(2), "children are numbered on");
}

#[test]
fn streams_are_those_of_r() {
    let mut random = Mrg32k3a::set_seed(123);
    let start = random.clone();
    assert_eq!(random.state(), [1806547166, -983674937, 643431772, 1162448557, -959247990, -133913213]);
    let drawn = [random.next_unif(), random.next_unif(), random.next_unif()];
    assert_eq!(drawn, [0.1663742155315906, 0.38984565788132536, 0.7599398486939]);
    let mut stream = start.next_stream();
    assert_eq!(stream.state(), [1801422725, -2057975723, 1156894209, 1595475487, 210384600, -1655729657]);
    assert_eq!([stream.next_unif(), stream.next_unif()], [0.34110639522553665, 0.9712726639175588]);
    let substream = [701401935, -355687987, 1513178397, 1735140456, -1584327974, -452417912];
    assert_eq!(start.next_substream().state(), substream);
    let negative = [1466166878, -58808505, 1194430172, 365728301, 1785353994, -191023869];
    assert_eq!(Mrg32k3a::set_seed(-5).state(), negative);
    assert_eq!(Mrg32k3a::from_state(start.state()), Some(start));
    assert_eq!(Mrg32k3a::from_state([0, 0, 0, 1, 1, 1]), None);
}

#[test]
fn halves_of_words_are_drawn_low_first_and_jumps_add_up() {
    let mut whole = Pcg64::new(5);
    let mut halves = whole.clone();
    for _ in 0..3 {
        let word = whole.next_u64();
        assert_eq!([halves.next_u32(), halves.next_u32()], [word as u32, (word >> 32) as u32]);
    }
    assert_eq!(Pcg64::new(5).jumped(2).jumped(3), Pcg64::new(5).jumped(5));
    assert_eq!(Mt19937::new(5).jumped(2), Mt19937::new(5).jumped(1).jumped(1));
}
