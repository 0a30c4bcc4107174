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

#[cfg(test)]
mod tests {
    use super::*;

    const LAW: Law = Law { lambda: 100.0, sigma: 0.05, kappa: 0.001 };
    const ALL: [bool; 3] = [true; 3];

    /// Returns points near a law, with weights.
    fn points(law: Law) -> Vec<Point> {
        let off = [0.02, -0.03, 0.01, 0.04, -0.02, -0.01, 0.03, -0.04];
        let point = |(step, off): (usize, f64)| {
            let n = f64::from(1 << step);
            (n, law.throughput(n) * (1.0 + off), 0.5 + step as f64)
        };
        off.into_iter().enumerate().map(point).collect()
    }

    fn exact(law: Law) -> Vec<Point> {
        points(law).into_iter().map(|(n, _, weight)| (n, law.throughput(n), weight)).collect()
    }

    /// Returns a law whose parameter `i` differs by a share `by`.
    fn moved(law: Law, i: usize, by: f64) -> Law {
        let mut all = [law.lambda, law.sigma, law.kappa];
        all[i] *= 1.0 + by;
        Law { lambda: all[0], sigma: all[1], kappa: all[2] }
    }

    #[track_caller]
    fn near(found: f64, wanted: f64, by: f64) {
        assert!((found - wanted).abs() <= by * wanted.abs().max(1e-9), "{found} is not {wanted}");
    }

    #[test]
    fn the_gradient_is_how_throughput_changes_with_each_parameter() {
        let own = [LAW.lambda, LAW.sigma, LAW.kappa];
        for n in [1.0, 2.0, 30.0, 500.0] {
            let found = LAW.gradient(n, ALL);
            for i in 0..3 {
                let [more, less] = [1e-6, -1e-6].map(|by| moved(LAW, i, by).throughput(n));
                near(found[i], (more - less) / (2e-6 * own[i]), 1e-6);
                let mut free = ALL;
                free[i] = false;
                assert_eq!(
                    (LAW.gradient(n, free)[i], LAW.gradient(n, free)[(i + 1) % 3]),
                    (0.0, found[(i + 1) % 3])
                );
            }
        }
    }

    #[test]
    fn the_normal_equations_are_the_slope_of_the_squares_and_leave_fixed_parameters() {
        let own = [LAW.lambda, LAW.sigma, LAW.kappa];
        let points = points(Law { lambda: 120.0, sigma: 0.04, kappa: 0.002 });
        let (products, right) = LAW.normal(&points, ALL);
        for i in 0..3 {
            let [more, less] = [1e-6, -1e-6].map(|by| moved(LAW, i, by).squares(&points));
            near(-2.0 * right[i], (more - less) / (2e-6 * own[i]), 1e-5);
            for (j, product) in products[i].into_iter().enumerate() {
                let sum = |of: fn(&Law, f64) -> [f64; 3]| -> f64 {
                    points.iter().map(|&(n, _, w)| w * of(&LAW, n)[i] * of(&LAW, n)[j]).sum()
                };
                near(product, sum(|law, n| law.gradient(n, ALL)), 1e-12);
            }
        }
        let (products, right) = LAW.normal(&points, [true, false, true]);
        assert_eq!((products[1], right[1]), ([0.0, 1.0, 0.0], 0.0));
        assert_eq!((products[0][1], products[2][1]), (0.0, 0.0));
    }

    #[test]
    fn leverages_add_up_to_the_parameters_at_no_bound() {
        let sum = |law: Law| {
            let all = law.leverages(&points(LAW));
            assert!(all.iter().all(|of| (0.0..=1.0 + 1e-9).contains(of)), "{all:?}");
            all.iter().sum::<f64>()
        };
        near(sum(LAW), 3.0, 1e-6);
        near(sum(Law { kappa: 0.0, ..LAW }), 2.0, 1e-6);
        near(sum(Law { sigma: 0.0, ..LAW }), 2.0, 1e-6);
        near(sum(Law { sigma: 1.0, ..LAW }), 2.0, 1e-6);
        near(sum(Law { sigma: 0.0, kappa: 0.0, ..LAW }), 1.0, 1e-6);
        // Three points alone determine three parameters.
        LAW.leverages(&points(LAW)[2..5]).iter().for_each(|of| near(*of, 1.0, 1e-6));
    }

    #[test]
    fn the_peak_is_where_throughput_is_greatest_and_without_one_it_has_a_limit() {
        let at = LAW.peak().unwrap();
        near(at, 950_f64.sqrt(), 1e-12);
        near(LAW.most(), LAW.throughput(at), 1e-12);
        assert!([0.9, 1.1].iter().all(|by| LAW.throughput(at * by) < LAW.most()));
        let rising = Law { kappa: 0.0, ..LAW };
        assert_eq!((rising.peak(), rising.most()), (None, 2_000.0));
        assert_eq!(Law { sigma: 1.0, ..LAW }.peak(), None, "it falls from the beginning");
    }

    #[test]
    fn a_law_is_allowed_up_to_its_bounds() {
        let allowed = |lambda, sigma, kappa| Law { lambda, sigma, kappa }.allowed();
        assert!(allowed(1e-9, 0.0, 0.0) && allowed(1.0, 1.0, 9.0));
        assert!(!allowed(0.0, 0.5, 0.1) && !allowed(-1.0, 0.5, 0.1));
        assert!(!allowed(f64::INFINITY, 0.5, 0.1) && !allowed(f64::NAN, 0.5, 0.1));
        assert!(!allowed(1.0, -0.1, 0.1) && !allowed(1.0, 1.1, 0.1));
        assert!(!allowed(1.0, 0.5, -0.1) && !allowed(1.0, 0.5, f64::INFINITY));
    }

    #[test]
    fn points_on_a_law_begin_at_it() {
        for law in [LAW, Law { sigma: 0.3, ..LAW }, Law { lambda: 2e-3, kappa: 0.02, ..LAW }] {
            let found = guess(&exact(law));
            near(found.lambda, law.lambda, 1e-6);
            near(found.sigma, law.sigma, 1e-6);
            near(found.kappa, law.kappa, 1e-6);
        }
        // Without three loads there is nothing to solve: the greatest throughput of one, and some contention.
        let two = [(1.0, 10.0, 1.0), (4.0, 36.0, 1.0)];
        assert_eq!(guess(&two), Law { lambda: 10.0, sigma: 0.1, kappa: 0.0 });
    }

    #[test]
    fn no_law_beside_the_best_is_better_wherever_it_began() {
        for truth in [LAW, Law { sigma: 0.0, ..LAW }, Law { kappa: 0.0, ..LAW }] {
            let points = points(truth);
            let found = best(&points, None).unwrap();
            let least = found.squares(&points);
            for (i, by) in (0..3).flat_map(|i| [1e-3, -1e-3].map(|by| (i, by))) {
                assert!(moved(found, i, by).squares(&points) >= least, "{truth:?}, {i}, {by}");
            }
            for near_it in [found, Law { lambda: 80.0, sigma: 0.1, kappa: 0.002 }] {
                let again = best(&points, Some(near_it)).unwrap();
                near(again.squares(&points), least, 1e-6);
            }
        }
        // Throughput that rises faster than load is at both bounds.
        let steep: Vec<Point> = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0].map(|n| (n, n * n, 1.0)).to_vec();
        let found = best(&steep, None).unwrap();
        assert_eq!((found.sigma, found.kappa), (0.0, 0.0));
        // Least squares of a line through 0: the sum of n³ over the sum of n².
        near(found.lambda, 828.0 / 130.0, 1e-9);
    }

    #[test]
    fn three_equations_are_solved_however_their_units_differ_and_dependent_ones_are_not() {
        let matrix = [[4.0, 1.0, -2.0], [1.0, 3.0, 0.5], [-2.0, 0.5, 5.0]];
        let wanted = [1.5, -2.0, 0.25];
        for units in [[1.0; 3], [1e6, 1.0, 1e-6], [1e-3, 1e9, 1.0]] {
            let scaled = [0, 1, 2].map(|i| [0, 1, 2].map(|j| matrix[i][j] * units[i] * units[j]));
            let right =
                [0, 1, 2].map(|i| (0..3).map(|j| scaled[i][j] * wanted[j] / units[j]).sum());
            let found = solve(scaled, right).unwrap();
            (0..3).for_each(|i| near(found[i] * units[i], wanted[i], 1e-9));
        }
        assert_eq!(solve([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]], [1.0; 3]), None);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut matrix = matrix;
            matrix[1][1] = bad;
            assert_eq!(solve(matrix, [1.0; 3]), None, "{bad}");
        }
    }
}
