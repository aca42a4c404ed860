//! The normal distribution, as far as large samples and planning need it.

/// `P(Z <= z)`. Absolute error below 1e-7 (the complementary error function by the rational fit of Numerical Recipes' `erfcc`).
pub fn cumulative(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let coefficients = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let polynomial = coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let upper = 0.5 * t * (-x * x + polynomial).exp();
    if z > 0.0 { 1.0 - upper } else { upper }
}

/// The `z` with `P(Z <= z) = p`, by bisection; clamped to ±9.
pub fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if cumulative(middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_table_values_come_out() {
        for (z, p) in [(0.0, 0.5), (1.644_854, 0.95), (2.326_348, 0.99), (-1.959_964, 0.025), (3.023_341, 0.998_75)] {
            assert!((cumulative(z) - p).abs() < 2e-6, "{z}: {}", cumulative(z));
            assert!((quantile(p) - z).abs() < 1e-4, "{p}: {}", quantile(p));
        }
    }
}
