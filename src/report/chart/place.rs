//! Converts values to positions on an axis, and computes its ticks.

use super::{Axis, Scale, Unit, words::tick};

/// An axis with known ends.
pub(super) struct AxisRange {
    scale: Scale,
    unit: Unit,
    /// The ends, as positions on the scale.
    least: f64,
    most: f64,
    own: Vec<(f64, String)>,
}

/// The greatest magnitude of figures: others are left out like infinite ones, so that the length of an axis is finite.
const FARTHEST: f64 = 1e300;
/// The margin on each side of an axis, as a share of its length.
const SPARE: f64 = 0.03;
/// The most computed ticks.
const TICKS: i32 = 9;

impl AxisRange {
    /// Returns an axis with room for `values`; those without a position are left out. `None` if none has one.
    pub(super) fn over(axis: &Axis, values: impl Iterator<Item = f64>) -> Option<Self> {
        let places = values.filter_map(|value| raw(axis.scale, value));
        let (mut least, mut most) =
            places.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if least > most {
            return None;
        }
        if axis.scale == Scale::Linear && least >= 0.0 && least < 0.6 * most {
            least = 0.0;
        }
        if axis.scale == Scale::Percentile {
            least = 0.0;
        }
        if most - least < 1e-9 * most.abs().max(1e-9) {
            let half = if axis.scale == Scale::Linear { most.abs().max(1.0) * 0.1 } else { 0.3 };
            (least, most) = (least - half, most + half);
        }
        let spare = (most - least) * SPARE;
        let from_zero = least == 0.0 && axis.scale != Scale::Log;
        let (least, most) = (if from_zero { least } else { least - spare }, most + spare);
        Some(AxisRange { scale: axis.scale, unit: axis.unit, least, most, own: axis.ticks.clone() })
    }

    /// Returns the position of `value`, from 0 to 1 on the axis; `None` if it has none.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        raw(self.scale, value).map(|place| (place - self.least) / (self.most - self.least))
    }

    /// Returns the position, moved to the nearer end if it is outside.
    pub(super) fn within(&self, value: f64) -> Option<f64> {
        self.at(value).map(|place| place.clamp(0.0, 1.0))
    }

    /// Returns the positions of ticks, and their text.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let computed = || -> Vec<(f64, String)> {
            self.values().into_iter().map(|value| (value, tick(self.unit, value))).collect()
        };
        let values = if self.own.is_empty() { computed() } else { self.own.clone() };
        let placed = values.into_iter().filter_map(|(value, text)| Some((self.at(value)?, text)));
        placed.filter(|(place, _)| (-1e-9..=1.0 + 1e-9).contains(place)).collect()
    }

    fn values(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => linear(self.least, self.most, self.unit),
            Scale::Log if self.unit == Unit::Bytes => powers(self.least, self.most, 2.0),
            // So short a range is nearly linear, and contains no powers of ten.
            Scale::Log if self.most - self.least <= 0.3 => {
                linear(10_f64.powf(self.least), 10_f64.powf(self.most), self.unit)
            }
            Scale::Log => decades(self.least, self.most),
            Scale::Percentile => {
                let mut values = vec![0.0, 0.5];
                let nines = self.most.floor().max(1.0) as i32;
                values.extend((1..=nines).map(|nines| 1.0 - 10_f64.powi(-nines)));
                values
            }
        }
    }
}

/// Returns the position of a value on the scale, before the ends of its axis are known.
pub(super) fn raw(scale: Scale, value: f64) -> Option<f64> {
    let place = match scale {
        Scale::Linear => value,
        Scale::Log if value > 0.0 => value.log10(),
        Scale::Percentile if (0.0..1.0).contains(&value) => -(1.0 - value).log10(),
        Scale::Log | Scale::Percentile => return None,
    };
    (place.abs() <= FARTHEST).then_some(place)
}

/// Returns multiples of 1, 2 or 5 times a power of ten.
fn linear(least: f64, most: f64, unit: Unit) -> Vec<f64> {
    let rough = (most - least) / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0);
    let step = if unit == Unit::Count { step.max(1.0).round() } else { step };
    let (from, to) = ((least / step).ceil() as i64, (most / step).floor() as i64);
    (from..=to).map(|index| index as f64 * step).collect()
}

/// Returns powers of ten; if they are few, also 2 and 5 times them.
fn decades(least: f64, most: f64) -> Vec<f64> {
    let (from, to) = (least.floor() as i32, most.ceil() as i32);
    let parts: &[f64] = match most - least {
        span if span <= 0.7 => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
        span if span <= 2.5 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let every = apart(to - from, TICKS);
    let powers = (from..=to).filter(|power| power.rem_euclid(every) == 0);
    powers.flat_map(|power| parts.iter().map(move |part| part * 10_f64.powi(power))).collect()
}

/// Returns powers of two, with a spacing that limits their number.
fn powers(least: f64, most: f64, base: f64) -> Vec<f64> {
    let (from, to) = ((least / base.log10()).floor() as i32, (most / base.log10()).ceil() as i32);
    let every = apart(to - from, TICKS - 1);
    (from..=to).filter(|power| power.rem_euclid(every) == 0).map(|power| base.powi(power)).collect()
}

/// Returns the spacing of ticks in powers, so that there are at most `ticks`.
fn apart(powers: i32, ticks: i32) -> i32 {
    ((powers + ticks - 1) / ticks).max(1)
}
