//! Reads the steps of workload files.

use toml::de::DeTable;

use super::Reader;
use crate::job::{
    Gather, Group, Join, Kept, Messages, Pool, ReadError, Server, Step, Steps, bounds,
    text::{Value, did_you_mean},
};

const STEPS: [&str; 14] = [
    "sleep", "block", "compute", "offload", "connect", "exchange", "say", "hear", "hop", "yield",
    "gather", "group", "fail", "park",
];

/// The position of a list of steps.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// The nesting depth; 1 for the steps of a job.
    depth: usize,
    /// Whether the group cancels, for the steps of a group's children.
    group: Option<bool>,
}

impl Position {
    /// The position of a job's steps.
    pub(super) const JOB: Position = Position { depth: 1, group: None };

    /// Returns the position of a list within a step of this one.
    fn child(self) -> Position {
        Position { depth: self.depth + 1, group: None }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn steps(&self, value: &Value<'a>, position: Position) -> Result<Steps, ReadError> {
        let list =
            self.0.array(value, "a job is a list of steps such as [{ sleep = \"10ms\" }]")?;
        if list.len() > bounds::STEPS {
            let most = bounds::STEPS;
            return self
                .0
                .wrong(value, format!("a list has at most {most} steps, not {}", list.len()));
        }
        if position.depth > bounds::DEPTH {
            let most = bounds::DEPTH;
            return self.0.wrong(value, format!("steps nest at most {most} deep"));
        }
        let mut steps = Vec::new();
        let mut server = None;
        for item in list {
            let step = self.step(item, position)?;
            let in_room = server == Some(Server::Room);
            let wrong = match step {
                Step::Park if position.depth > 1 || !steps.is_empty() => Some(
                    "park waits for all jobs: it is the first step of the job itself, so that nothing fails before it",
                ),
                _ if steps.last() == Some(&Step::Fail) => {
                    Some("nothing comes after fail: put it last")
                }
                Step::Exchange { .. } if server.is_none() || in_room => Some(
                    "exchange needs a connection: put { connect = \"echo\" } before it in the same list",
                ),
                Step::Say(_) | Step::Hear(_) if !in_room => Some(
                    "say and hear need a room: put { connect = \"room\" } before it in the same list",
                ),
                Step::Gather(_) | Step::Group(_) | Step::Offload(_) | Step::Hop(_)
                    if position.group == Some(true) =>
                {
                    Some(
                        "what a gather, a group, an offload or a hop starts may outlive a group that cancels: leave it \
                         out, or let the group wait: on_failure = \"wait\"",
                    )
                }
                _ => None,
            };
            if let Some(wrong) = wrong {
                return self.0.wrong(item, wrong);
            }
            if let Step::Connect(to) | Step::Pool(Pool { server: to, .. }) = step {
                server = Some(to);
            }
            steps.push(step);
        }
        Ok(steps.into())
    }

    fn step(&self, value: &Value<'a>, position: Position) -> Result<Step, ReadError> {
        let text = self.0;
        let table = text.table(value, "a step is a table such as { sleep = \"10ms\" }")?;
        let mut keys = table.iter();
        let (Some((key, of)), None) = (keys.next(), keys.next()) else {
            let count = table.len();
            return text.wrong(value, format!("a step has exactly one key, this one has {count}"));
        };
        Ok(match key.get_ref().as_ref() {
            "sleep" => Step::Sleep(text.duration(of, "sleep", bounds::WAIT)?),
            "block" => Step::Block(text.duration(of, "block", bounds::WAIT)?),
            "compute" => Step::Compute(self.rounds(of)?),
            "hop" => Step::Hop(text.number(of, bounds::HOPS)?),
            "yield" => Step::Yield(text.number(of, bounds::YIELDS)?),
            "offload" => Step::Offload(Box::new(self.offload(of, position)?)),
            "connect" => match text.table(of, "") {
                Ok(table) if table.contains_key("pool") => {
                    Step::Pool(self.pool(of, table, position)?)
                }
                _ => Step::Connect(self.server(of, position)?),
            },
            "say" => Step::Say(self.messages(of, "say", bounds::SAID)?),
            "hear" => Step::Hear(self.messages(of, "hear", bounds::SAID)?),
            "exchange" => {
                let Messages { bytes, times } = self.messages(of, "exchange", bounds::BYTES)?;
                Step::Exchange { bytes, times }
            }
            "gather" => Step::Gather(Box::new(self.gather(of, position)?)),
            "group" => Step::Group(Box::new(self.group(of, position)?)),
            "fail" => match text.string(of, "fail names how: \"error\"")? {
                "error" if position.group.is_some() => Step::Fail,
                "error" => {
                    return text.wrong(
                        value,
                        "fail belongs in the list of a group's children: any other job that fails has no receipt",
                    );
                }
                other => {
                    return text
                        .wrong(of, format!("a step fails with an \"error\", not {other:?}"));
                }
            },
            "park" => match text.string(of, "park names whom it waits for: \"all\"")? {
                "all" => Step::Park,
                other => return text.wrong(of, format!("park waits for \"all\", not {other:?}")),
            },
            unknown => {
                let hint = did_you_mean(unknown, STEPS);
                let known = STEPS.join(", ");
                let message = format!("unknown step `{unknown}`: {hint}a step is one of {known}");
                return Err(text.error(key.span(), message));
            }
        })
    }

    fn server(&self, value: &Value<'a>, position: Position) -> Result<Server, ReadError> {
        let text = self.0;
        let which = "the suite has \"echo\", \"room\" and { slow = \"20ms\" }, and a pool is { pool = 8, to = \"echo\" }";
        if let Ok(table) = text.table(value, which) {
            self.only(table, &["slow"], "a server")?;
            let after = self.need(table, "slow", value.span(), "a server")?;
            return text.duration(after, "slow", bounds::WAIT).map(Server::Slow);
        }
        match text.string(value, which)? {
            "echo" => Ok(Server::Echo),
            "room" if position.depth == 1 => Ok(Server::Room),
            "room" => {
                text.wrong(value, "a room is of all jobs: its connect is a step of the job itself")
            }
            other => text.wrong(value, format!("no server is called {other:?}: {which}")),
        }
    }

    fn pool(
        &self,
        value: &Value<'a>,
        table: &DeTable<'a>,
        position: Position,
    ) -> Result<Pool, ReadError> {
        self.only(table, &["pool", "to"], "a pool of connections")?;
        let to = self.need(table, "to", value.span(), "a pool of connections")?;
        let size =
            self.0.number(self.need(table, "pool", value.span(), "a pool")?, bounds::POOL)?;
        match self.server(to, position)? {
            Server::Room => {
                self.0.wrong(to, "each job is a member of the room: connect to it without a pool")
            }
            server => Ok(Pool { size: size as usize, server, kept: Kept::default() }),
        }
    }

    /// Checks that either all jobs park or none does. Otherwise those that park would wait forever.
    pub(super) fn parking(
        &self,
        value: &Value<'a>,
        job: &[Step],
        every: Option<&[Step]>,
    ) -> Result<(), ReadError> {
        let parks = |steps: &[Step]| steps.first() == Some(&Step::Park);
        match every {
            Some(other) if parks(other) != parks(job) => self.0.wrong(
                value,
                "park waits for all jobs: put it first in the job and in the one of `every`, or in neither",
            ),
            _ => Ok(()),
        }
    }

    /// Checks that every message sent to the room is received there. Otherwise a member would wait forever.
    pub(super) fn room(
        &self,
        value: &Value<'a>,
        job: &[Step],
        every: Option<&[Step]>,
    ) -> Result<(), ReadError> {
        let rooms = |steps: &[Step]| {
            steps.iter().filter(|step| **step == Step::Connect(Server::Room)).count()
        };
        let most = every.map_or(0, rooms).max(rooms(job));
        if most == 0 {
            return Ok(());
        }
        let wrong = |why| self.0.wrong(value, why);
        let Some(speaker) = every else {
            return wrong(
                "a room needs a speaker: give `every` a job that says what the others hear",
            );
        };
        if most > 1 || rooms(job) != rooms(speaker) {
            return wrong(
                "all jobs are members of the room, of one each: connect to it once, in `every` too",
            );
        }
        let heard = job.iter().filter_map(|step| match step {
            Step::Hear(messages) => Some(*messages),
            _ => None,
        });
        let said = speaker.iter().filter_map(|step| match step {
            Step::Say(messages) => Some(*messages),
            _ => None,
        });
        let one_way = |step: &Step| !matches!(step, Step::Say(_));
        let other_way = |step: &Step| !matches!(step, Step::Hear(_));
        if !heard.eq(said) || !job.iter().all(one_way) || !speaker.iter().all(other_way) {
            return wrong(
                "the job in `every` says, and the others hear, the same messages in the same order",
            );
        }
        Ok(())
    }

    /// Reads how many messages of how many bytes a step exchanges, says or hears.
    fn messages(
        &self,
        value: &Value<'a>,
        of: &str,
        size: bounds::Bound,
    ) -> Result<Messages, ReadError> {
        let table =
            self.0.table(value, &format!("{of} is a table {{ bytes = 64, times = 10 }}"))?;
        self.only(table, &["bytes", "times"], of)?;
        let need = |key| self.need(table, key, value.span(), of);
        Ok(Messages {
            bytes: self.0.size(need("bytes")?, size)?,
            times: self.0.number(need("times")?, bounds::TIMES)?,
        })
    }

    /// Reads children that all run the same steps, or a list with the steps of each.
    fn gather(&self, value: &Value<'a>, position: Position) -> Result<Gather, ReadError> {
        let text = self.0;
        if let Ok(each) = text.array(value, "") {
            let width = bounds::WIDTH.check(each.len() as u64);
            let width = width.or_else(|message| text.wrong(value, message))? as usize;
            let of = each.iter().map(|steps| self.steps(steps, position.child()));
            return Ok(Gather { width, of: of.collect::<Result<_, _>>()?, join: Join::Tasks });
        }
        let what = "gather is a table { width = 8, of = [..] }, or a list of the steps of each child \
                    [[..], [..]]";
        let table = text.table(value, what)?;
        self.only(table, &["width", "of", "join"], "gather")?;
        let need = |key| self.need(table, key, value.span(), "gather");
        let futures = [("tasks", Join::Tasks), ("future", Join::Future)];
        Ok(Gather {
            width: text.number(need("width")?, bounds::WIDTH)? as usize,
            of: vec![self.steps(need("of")?, position.child())?],
            join: self.one_of(table, "join", &futures)?.unwrap_or(Join::Tasks),
        })
    }

    fn group(&self, value: &Value<'a>, position: Position) -> Result<Group, ReadError> {
        let table = self.0.table(value, "group is a table { width = 8, of = [..] }")?;
        self.only(table, &["width", "of", "every", "on_failure"], "group")?;
        let need = |key| self.need(table, key, value.span(), "group");
        let endings = [("cancel", true), ("wait", false)];
        let cancels = self.one_of(table, "on_failure", &endings)?.unwrap_or(true);
        let inside = Position { group: Some(cancels), ..position.child() };
        let of = |steps: &Value<'a>| self.steps(steps, inside);
        Ok(Group {
            width: self.0.number(need("width")?, bounds::GROUP)? as usize,
            of: of(need("of")?)?,
            every: table.get("every").map(|every| self.every(every, of)).transpose()?,
            cancels,
        })
    }

    /// Returns the value of the word at `key`; `None` if the key is missing.
    fn one_of<T: Copy>(
        &self,
        table: &DeTable<'a>,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ReadError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let known = known.join(" or ");
        let word = self.0.string(value, &format!("{key} is {known}"))?;
        match words.iter().find(|(known, _)| *known == word) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => self.0.wrong(value, format!("{key} is {known}, not {word:?}")),
        }
    }

    fn offload(&self, value: &Value<'a>, position: Position) -> Result<Steps, ReadError> {
        let steps = self.steps(value, position.child())?;
        match steps.iter().find(|step| !matches!(step, Step::Block(_) | Step::Compute(_))) {
            None => Ok(steps),
            Some(step) => {
                let name = step.name();
                self.0.wrong(value, format!("offload takes block and compute steps, not {name}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::job::Workload;

    /// Returns the error for a workload with this job, position included.
    fn wrong(job: &str) -> String {
        Workload::parse("w", &format!("name = \"w\"\njob = {job}")).unwrap_err().to_string()
    }

    #[test]
    fn a_pool_says_how_many_connections_it_keeps_and_to_what() {
        let of = |pool: &str| {
            format!("[{{ connect = {{ {pool} }} }}, {{ exchange = {{ bytes = 9, times = 1 }} }}]")
        };
        assert!(
            wrong(&of("pool = 0, to = \"echo\""))
                .contains("the connections of a pool must be at least 1")
        );
        assert!(wrong(&of("pool = 8")).contains("needs the key `to`"));
        assert!(wrong(&of("pool = 8, to = \"room\"")).contains("without a pool"));
        assert!(wrong(&of("pool = 8, to = \"ech\"")).contains("a pool is { pool = 8"));
        let text = format!("name = \"w\"\njob = {}", of("pool = 8, to = { slow = \"2ms\" }"));
        let demand = Workload::parse("w", &text).unwrap().demand();
        assert_eq!((demand.floor.as_millis(), demand.sockets, demand.units), (2, 0, 2));
    }

    #[test]
    fn children_that_each_do_their_own_are_lists_of_steps_in_a_list() {
        assert!(wrong("[{ gather = [] }]").starts_with("w:2:19: the width of a gather must be at"));
        let flat = wrong("[{ gather = [[], { compute = 1 }] }]");
        assert!(flat.starts_with("w:2:24: a job is a list of steps"), "{flat}");
        assert!(wrong("[{ gather = [[{ compute = -1 }]] }]").starts_with("w:2:33: the rounds"));
        assert!(wrong("[{ gather = 3 }]").contains("a list of the steps of each child"));
        let wide = format!(
            "[{{ gather = [{}] }}]",
            "[{ gather = { width = 60_000, of = [] } }],".repeat(2)
        );
        assert!(wrong(&wide).contains("at most 100 000 tasks alive at once"));
    }
}
