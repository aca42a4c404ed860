//! Chance that is fast and the same everywhere: xoshiro256++, with what the noise is drawn from.

use std::f64::consts::TAU;

/// Layers of the ziggurat, where its tail begins, and the area of a layer (Doornik 2005).
const LAYERS: usize = 128;
const TAIL: f64 = 3.442_619_855_899;
const AREA: f64 = 9.912_563_035_262_17e-3;

/// A stream of random numbers.
pub(crate) struct Chance {
    state: [u64; 4],
    edges: [f64; LAYERS + 1],
}

impl Chance {
    /// The stream of this experiment: `path` names it (which table, model, repetition).
    pub(crate) fn of(path: &[u64]) -> Chance {
        let mut seed = 2026_u64;
        for part in path {
            seed = mix(seed ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(*part);
        }
        let state = [1, 2, 3, 4].map(|word: u64| mix(seed.wrapping_add(word.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
        Chance { state, edges: edges() }
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in (0, 1).
    pub(crate) fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Uniform between two numbers.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Exponential with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }

    /// Standard normal, by the ziggurat.
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let bits = self.next();
            let layer = (bits & 0x7F) as usize;
            let side = ((bits >> 11) as f64 + 0.5) / (1_u64 << 52) as f64 - 1.0;
            let (edge, inner) = (self.edges[layer], self.edges[layer + 1]);
            let x = side * edge;
            if x.abs() < inner {
                return x;
            }
            if layer == 0 {
                return self.normal_tail().copysign(side);
            }
            let (high, low) = ((-0.5 * (edge * edge - x * x)).exp(), (-0.5 * (inner * inner - x * x)).exp());
            if low + self.share() * (high - low) < 1.0 {
                return x;
            }
        }
    }

    fn normal_tail(&mut self) -> f64 {
        loop {
            let (x, y) = (self.share().ln() / TAIL, self.share().ln());
            if -2.0 * y >= x * x {
                return TAIL - x;
            }
        }
    }

    /// Gamma with this shape, at least 1 (Marsaglia and Tsang).
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.share().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// A point on a circle, as an angle.
    pub(crate) fn angle(&mut self) -> f64 {
        self.between(0.0, TAU)
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

fn edges() -> [f64; LAYERS + 1] {
    let density = |x: f64| (-0.5 * x * x).exp();
    let mut edges = [0.0; LAYERS + 1];
    (edges[0], edges[1]) = (AREA / density(TAIL), TAIL);
    for layer in 2..LAYERS {
        edges[layer] = (-2.0 * (AREA / edges[layer - 1] + density(edges[layer - 1])).ln()).sqrt();
    }
    edges
}
