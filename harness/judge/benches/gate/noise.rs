//! What machines do to latencies: four models of our own, and the weather of one phase drawn from one of them.
//!
//! Requests have a log-normal body (20 ms, 0.45) and a slow path for two in a hundred. On top comes what both variants share (weather that wanders for
//! seconds, drift, noisy neighbours, stalls of the host with the queue that they leave), and what each has of its own (stalls such as a garbage
//! collection, and the luck of the instance).

use crate::chance::Chance;

/// Seconds of a step of the weather.
const STEP: f64 = 0.05;
/// Seconds over which the weather forgets.
const MEMORY: f64 = 3.0;
/// How long the queue of a stall drains, in lengths of the stall.
const DRAIN: f64 = 0.5;

/// Times of trouble: how long they last on average, how long calm does, and how much they slow down, between two factors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bursts {
    on: f64,
    off: f64,
    least: f64,
    most: f64,
}

/// Standstills: how many a second, how long on average, and whether their lengths have infinite variance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stalls {
    rate: f64,
    seconds: f64,
    heavy: bool,
}

const NO_STALLS: Stalls = Stalls { rate: 0.0, seconds: 0.0, heavy: false };

/// A kind of machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// Standard deviation of the wandering weather (log).
    weather: f64,
    /// Change over a phase, either way (log).
    drift: f64,
    bursts: Option<Bursts>,
    host: Stalls,
    own: Stalls,
    /// Swing of a noise whose period is exactly one block (log).
    beat: f64,
    /// Standard deviation of the luck of an instance (log).
    pub(crate) instance: f64,
}

impl Model {
    /// The same machine with instances that are all alike.
    pub(crate) fn alike(self) -> Model {
        Model { instance: 0.0, ..self }
    }

    /// Its part in the name of a stream of chance.
    pub(crate) fn stream(&self) -> u64 {
        self.name.bytes().fold(0, |stream, byte| stream * 31 + u64::from(byte))
    }
}

/// From no noise at all to more than a gate should be asked to bear.
pub(crate) const MODELS: [Model; 4] = [
    Model { name: "quiet", weather: 0.0, drift: 0.0, bursts: None, host: NO_STALLS, own: NO_STALLS, beat: 0.0, instance: 0.0 },
    Model {
        name: "typical",
        weather: 0.10,
        drift: 0.10,
        bursts: Some(Bursts { on: 1.5, off: 20.0, least: 1.2, most: 2.7 }),
        host: Stalls { rate: 0.02, seconds: 0.06, heavy: false },
        own: Stalls { rate: 0.05, seconds: 0.03, heavy: false },
        beat: 0.0,
        instance: 0.015,
    },
    Model {
        name: "hostile",
        weather: 0.20,
        drift: 0.25,
        bursts: Some(Bursts { on: 3.0, off: 20.0, least: 1.3, most: 5.0 }),
        host: Stalls { rate: 0.05, seconds: 0.12, heavy: false },
        own: Stalls { rate: 0.10, seconds: 0.06, heavy: false },
        beat: 0.0,
        instance: 0.025,
    },
    Model {
        name: "harsh",
        weather: 0.30,
        drift: 0.40,
        bursts: Some(Bursts { on: 4.0, off: 12.0, least: 1.5, most: 8.0 }),
        host: Stalls { rate: 0.10, seconds: 0.15, heavy: true },
        own: Stalls { rate: 0.15, seconds: 0.08, heavy: true },
        beat: 0.3,
        instance: 0.035,
    },
];

/// What one phase of one round was like for everything on the machine.
pub(crate) struct Weather {
    /// Logarithm of the slow-down, by step.
    steps: Vec<f64>,
    standstills: Vec<Standstill>,
}

/// From when and for how long nothing moved.
#[derive(Debug, Clone, Copy)]
struct Standstill {
    start: f64,
    seconds: f64,
}

impl Weather {
    /// Draws `seconds` of weather; a block takes `block` of them.
    pub(crate) fn draw(model: &Model, seconds: f64, block: f64, chance: &mut Chance) -> Weather {
        let count = (seconds / STEP).ceil() as usize + 1;
        let (keep, slope, phase) = ((-STEP / MEMORY).exp(), model.drift * chance.between(-1.0, 1.0), chance.angle());
        let push = model.weather * (1.0 - keep * keep).sqrt();
        let mut wander = model.weather * chance.normal();
        let mut trouble = Trouble::begin(model.bursts, chance);
        let steps = (0..count).map(|step| {
            let time = step as f64 * STEP;
            wander = keep * wander + push * chance.normal();
            let beat = model.beat * (std::f64::consts::TAU * time / block + phase).sin();
            wander + slope * time / seconds + beat + trouble.at(time, chance)
        });
        let steps = steps.collect();
        Weather { steps, standstills: standstills(model.host, seconds, chance) }
    }

    /// The factor on a latency at this time.
    pub(crate) fn factor(&self, time: f64) -> f64 {
        self.steps[((time / STEP) as usize).min(self.steps.len() - 1)]
    }

    /// How long a request that comes at this time waits for the host.
    pub(crate) fn wait(&self, time: f64) -> f64 {
        wait(&self.standstills, time)
    }
}

/// A noisy neighbour that comes and goes.
struct Trouble {
    bursts: Option<Bursts>,
    height: f64,
    until: f64,
}

impl Trouble {
    fn begin(bursts: Option<Bursts>, chance: &mut Chance) -> Trouble {
        let until = bursts.map_or(f64::INFINITY, |bursts| chance.exponential(bursts.off));
        Trouble { bursts, height: 0.0, until }
    }

    fn at(&mut self, time: f64, chance: &mut Chance) -> f64 {
        while let Some(bursts) = self.bursts.filter(|_| time >= self.until) {
            let begins = self.height <= 0.0;
            self.height = if begins { chance.between(bursts.least, bursts.most).ln() } else { 0.0 };
            self.until += chance.exponential(if begins { bursts.on } else { bursts.off });
        }
        self.height
    }
}

/// The stalls of one variant's own process.
pub(crate) struct OwnStalls(Vec<Standstill>);

impl OwnStalls {
    pub(crate) fn draw(model: &Model, seconds: f64, chance: &mut Chance) -> OwnStalls {
        OwnStalls(standstills(model.own, seconds, chance))
    }

    pub(crate) fn wait(&self, time: f64) -> f64 {
        wait(&self.0, time)
    }
}

fn standstills(stalls: Stalls, seconds: f64, chance: &mut Chance) -> Vec<Standstill> {
    let mut found = Vec::new();
    if stalls.rate <= 0.0 {
        return found;
    }
    let mut start = chance.exponential(1.0 / stalls.rate);
    while start < seconds {
        // Pareto with exponent 1.5: a mean, and no variance.
        let length = if stalls.heavy { stalls.seconds / 3.0 * chance.share().powf(-1.0 / 1.5) } else { chance.exponential(stalls.seconds) };
        found.push(Standstill { start, seconds: length.min(3.0) });
        start += chance.exponential(1.0 / stalls.rate);
    }
    found
}

/// Until the end of the stall, and then behind the queue that it left.
fn wait(standstills: &[Standstill], time: f64) -> f64 {
    let waits = standstills.iter().map(|stall| {
        let since = time - stall.start;
        let drained = stall.seconds * (1.0 + DRAIN);
        if (0.0..stall.seconds).contains(&since) {
            stall.seconds - since + 0.2 * since
        } else if (stall.seconds..drained).contains(&since) {
            0.2 * stall.seconds * (drained - since) / (drained - stall.seconds)
        } else {
            0.0
        }
    });
    waits.fold(0.0, f64::max)
}

/// Time of one request without the machine's doing.
pub(crate) fn service_time(chance: &mut Chance) -> f64 {
    let slow = if chance.share() < 0.02 { 4.0_f64.ln() + 0.5 * chance.normal() } else { 0.0 };
    0.02_f64.ln() + 0.45 * chance.normal() + slow
}
