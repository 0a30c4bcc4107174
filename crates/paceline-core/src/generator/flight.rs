//! The number of requests in flight over time: the L of Little's law, computed without latencies.

/// Counts requests that have arrived and are not completed, and integrates the count over the intervals of a window.
pub(super) struct Flight {
    /// The edges of the intervals, in nanoseconds: one more than there are intervals.
    pub(super) edges: Vec<u64>,
    /// The count at each edge.
    pub(super) levels: Vec<u64>,
    /// The integral of the count over each interval that has ended: requests times nanoseconds.
    pub(super) areas: Vec<u64>,
    /// Index of the next edge, and the edge.
    cursor: usize,
    next_ns: u64,
    /// The integral since the last edge.
    area: u64,
    level: u64,
    at: u64,
}

impl Flight {
    pub(super) fn new(edges: Vec<u64>) -> Self {
        let count = edges.len();
        Flight {
            next_ns: edges.first().copied().unwrap_or(u64::MAX),
            edges,
            levels: vec![0; count],
            areas: vec![0; count.saturating_sub(1)],
            cursor: 0,
            area: 0,
            level: 0,
            at: 0,
        }
    }

    /// Returns the number in flight.
    pub(super) fn level(&self) -> u64 {
        self.level
    }

    /// Returns the last moment.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Returns the interval of the last moment.
    pub(super) fn interval(&self) -> Option<usize> {
        (1..self.edges.len()).contains(&self.cursor).then(|| self.cursor - 1)
    }

    /// Advances to a moment.
    pub(super) fn advance(&mut self, now: u64) {
        if now >= self.next_ns {
            self.pass_edges(now);
        }
        self.area += self.level * (now - self.at);
        self.at = now;
    }

    #[cold]
    fn pass_edges(&mut self, now: u64) {
        while let Some(edge) = self.edges.get(self.cursor).copied().filter(|edge| *edge <= now) {
            self.area += self.level * (edge - self.at);
            if let Some(interval) = self.interval() {
                self.areas[interval] += self.area;
            }
            self.area = 0;
            self.levels[self.cursor] = self.level;
            self.at = edge;
            self.cursor += 1;
        }
        self.next_ns = self.edges.get(self.cursor).copied().unwrap_or(u64::MAX);
    }

    /// Counts an arrival intended at `intended` and handled at `now`: it counts from its intended start.
    pub(super) fn arrive(&mut self, intended: u64, now: u64) {
        self.advance(now);
        self.level += 1;
        if intended < now {
            self.count_earlier(intended, now);
        }
    }

    /// Counts the time between the intended start of an arrival and the moment at which it was handled.
    fn count_earlier(&mut self, intended: u64, now: u64) {
        let mut to = now;
        for next in (0..=self.cursor).rev() {
            let edge = next.checked_sub(1).map_or(0, |edge| self.edges[edge]);
            if (1..self.edges.len()).contains(&next) {
                self.areas[next - 1] += to - intended.max(edge);
            }
            if edge <= intended {
                break;
            }
            self.levels[next - 1] += 1;
            to = edge;
        }
    }

    /// Counts a completion.
    pub(super) fn complete(&mut self, now: u64) {
        self.advance(now);
        self.level -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_is_that_of_the_steps_cut_at_the_edges() {
        let mut flight = Flight::new(vec![100, 200, 300]);
        flight.arrive(50, 50);
        flight.arrive(120, 120);
        flight.complete(150);
        flight.complete(260);
        flight.advance(400);
        assert_eq!(flight.areas, [50 + 80, 60]);
        assert_eq!(flight.levels, [1, 1, 0]);
        assert_eq!((flight.level(), flight.interval()), (0, None));
    }

    #[test]
    fn one_that_is_handled_late_counts_as_if_it_had_not_been() {
        let steps = |late: u64| {
            let mut flight = Flight::new(vec![100, 200, 300]);
            flight.arrive(90, 90);
            flight.arrive(95, 95 + late);
            flight.complete(320);
            flight.complete(330);
            (flight.areas, flight.levels)
        };
        let prompt = steps(0);
        assert_eq!(prompt.0, [200, 200]);
        for late in [1, 5, 6, 105, 150, 205, 220] {
            assert_eq!(steps(late), prompt, "{late}");
        }
    }
}
