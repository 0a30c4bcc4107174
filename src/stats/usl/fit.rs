//! Least squares for the Universal Scalability Law, within its bounds.

/// The most steps of an iteration that does not converge.
const STEPS: usize = 100;
/// The parameters fixed at a bound in each case: none, or σ or κ or both.
const CORNERS: [(Option<f64>, Option<f64>); 6] = [
    (None, None),
    (None, Some(0.0)),
    (Some(0.0), None),
    (Some(0.0), Some(0.0)),
    (Some(1.0), None),
    (Some(1.0), Some(0.0)),
];

/// A load, its throughput, and the weight of the square of its residual.
pub(super) type Point = (f64, f64, f64);

/// The law with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Law {
    pub(super) lambda: f64,
    pub(super) sigma: f64,
    pub(super) kappa: f64,
}

impl Law {
    pub(super) fn throughput(&self, n: f64) -> f64 {
        self.lambda * n / self.slowing(n)
    }

    /// Returns the load of greatest throughput.
    pub(super) fn peak(&self) -> Option<f64> {
        let at = ((1.0 - self.sigma) / self.kappa).sqrt();
        (at.is_finite() && at > 0.0).then_some(at)
    }

    /// Returns the greatest throughput, or its limit without a peak.
    pub(super) fn most(&self) -> f64 {
        self.peak().map_or(self.lambda / self.sigma, |at| self.throughput(at))
    }

    /// Returns the weighted sum of the squares of the residuals.
    pub(super) fn squares(&self, points: &[Point]) -> f64 {
        points.iter().map(|&(n, x, weight)| weight * (x - self.throughput(n)).powi(2)).sum()
    }

    /// Returns the leverage of each point: the diagonal of the hat matrix, over the parameters at no bound.
    pub(super) fn leverages(&self, points: &[Point]) -> Vec<f64> {
        let free = [true, self.sigma > 0.0 && self.sigma < 1.0, self.kappa > 0.0];
        let (products, _) = self.normal(points, free);
        let leverage = |&(n, _, weight): &Point| {
            let row = self.gradient(n, free);
            let drawn = solve(products, row)
                .map_or(0.0, |solved| (0..3).map(|i| row[i] * solved[i]).sum::<f64>());
            weight * drawn
        };
        points.iter().map(leverage).collect()
    }

    fn slowing(&self, n: f64) -> f64 {
        1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0)
    }

    /// Returns the derivatives of throughput by the three parameters, 0 for those that are fixed.
    fn gradient(&self, n: f64, free: [bool; 3]) -> [f64; 3] {
        let slowing = self.slowing(n);
        let by_sigma = -self.lambda * n * (n - 1.0) / slowing.powi(2);
        let all = [n / slowing, by_sigma, by_sigma * n];
        [0, 1, 2].map(|i| if free[i] { all[i] } else { 0.0 })
    }

    /// Returns the normal equations of a step. A fixed parameter has a 1 on the diagonal: its step is 0.
    fn normal(&self, points: &[Point], free: [bool; 3]) -> ([[f64; 3]; 3], [f64; 3]) {
        let mut products = [[0.0; 3]; 3];
        let mut right = [0.0; 3];
        for &(n, x, weight) in points {
            let row = self.gradient(n, free);
            let residual = x - self.throughput(n);
            for i in 0..3 {
                right[i] += weight * row[i] * residual;
                for j in 0..3 {
                    products[i][j] += weight * row[i] * row[j];
                }
            }
        }
        for i in 0..3 {
            if !free[i] {
                products[i][i] = 1.0;
            }
        }
        (products, right)
    }

    /// Returns whether the law is within the bounds.
    fn allowed(&self) -> bool {
        self.lambda > 0.0
            && self.lambda.is_finite()
            && (0.0..=1.0).contains(&self.sigma)
            && (0.0..f64::INFINITY).contains(&self.kappa)
    }
}

/// Returns the law of least squares within the bounds, starting from a law nearby if there is one.
///
/// The best law lies within the bounds or on one of them, where the free parameters converge. So each case is tried,
/// and the best law that is allowed is taken.
pub(super) fn best(points: &[Point], near: Option<Law>) -> Option<Law> {
    let from = near.unwrap_or_else(|| guess(points));
    let rest_in = |(sigma, kappa): (Option<f64>, Option<f64>)| {
        let free = [true, sigma.is_none(), kappa.is_none()];
        let law = Law {
            lambda: from.lambda,
            sigma: sigma.unwrap_or(from.sigma),
            kappa: kappa.unwrap_or(from.kappa),
        };
        rest(points, law, free).filter(Law::allowed)
    };
    // Near a law with no parameter at a bound, the first allowed law is the best.
    if near.is_some()
        && let Some(law) = rest_in(CORNERS[0])
    {
        return Some(law);
    }
    let rests = CORNERS.into_iter().filter_map(rest_in);
    rests.min_by(|one, other| one.squares(points).total_cmp(&other.squares(points)))
}

/// Returns a start: N / X is linear in 1 / λ, σ / λ and κ / λ; weights of X⁴ / N² make its residuals those of X.
fn guess(points: &[Point]) -> Law {
    let mut products = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for &(n, x, weight) in points {
        let row = [1.0, n - 1.0, n * (n - 1.0)];
        let weight = weight * (x * x / n).powi(2);
        for i in 0..3 {
            right[i] += weight * row[i] * n / x;
            for j in 0..3 {
                products[i][j] += weight * row[i] * row[j];
            }
        }
    }
    let first = points.iter().map(|(n, x, _)| x / n).fold(0.0, f64::max);
    match solve(products, right) {
        Some([a, b, c]) if a > 0.0 => {
            Law { lambda: 1.0 / a, sigma: (b / a).clamp(0.0, 1.0), kappa: (c / a).max(0.0) }
        }
        _ => Law { lambda: first, sigma: 0.1, kappa: 0.0 },
    }
}

/// Steps down from `law` until it converges (Levenberg, 1944; Marquardt, 1963); `None` outside the range of floats.
fn rest(points: &[Point], mut law: Law, free: [bool; 3]) -> Option<Law> {
    let mut squares = law.squares(points);
    let mut damping = 1e-3;
    for _ in 0..STEPS {
        let (products, right) = law.normal(points, free);
        let mut damped = products;
        for (i, row) in damped.iter_mut().enumerate() {
            row[i] *= 1.0 + damping;
        }
        let Some(step) = solve(damped, right) else { break };
        let next = Law {
            lambda: law.lambda + step[0],
            sigma: law.sigma + step[1],
            kappa: law.kappa + step[2],
        };
        let then = next.squares(points);
        // Beyond a pole of the law, the squares may be less but the law makes no sense.
        let sound = points.iter().all(|(n, ..)| next.slowing(*n) > 0.0);
        if sound && then <= squares {
            let at_rest = squares - then <= 1e-12 * squares;
            (law, squares, damping) = (next, then, damping / 10.0);
            if at_rest {
                break;
            }
        } else if damping > 1e12 {
            break;
        } else {
            damping *= 10.0;
        }
    }
    squares.is_finite().then_some(law)
}

/// Solves three symmetric equations, scaled because κ may be a billion times less than λ; `None` if dependent.
fn solve(matrix: [[f64; 3]; 3], right: [f64; 3]) -> Option<[f64; 3]> {
    let scale = [0, 1, 2].map(|i| matrix[i][i].sqrt());
    if scale.iter().any(|scale| !scale.is_finite() || *scale <= 0.0) {
        return None;
    }
    let mut rows = [0, 1, 2].map(|i| {
        let scaled = [0, 1, 2].map(|j| matrix[i][j] / (scale[i] * scale[j]));
        [scaled[0], scaled[1], scaled[2], right[i] / scale[i]]
    });
    for pivot in 0..3 {
        let best =
            (pivot..3).max_by(|a, b| rows[*a][pivot].abs().total_cmp(&rows[*b][pivot].abs()))?;
        rows.swap(pivot, best);
        if rows[pivot][pivot].abs() < 1e-14 {
            return None;
        }
        for below in pivot + 1..3 {
            let factor = rows[below][pivot] / rows[pivot][pivot];
            let above = rows[pivot];
            for (value, above) in rows[below].iter_mut().zip(above).skip(pivot) {
                *value -= factor * above;
            }
        }
    }
    let z = rows[2][3] / rows[2][2];
    let y = (rows[1][3] - rows[1][2] * z) / rows[1][1];
    let x = (rows[0][3] - rows[0][1] * y - rows[0][2] * z) / rows[0][0];
    Some([x / scale[0], y / scale[1], z / scale[2]])
}
