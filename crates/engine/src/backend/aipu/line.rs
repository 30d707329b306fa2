//! Who is next: one thing, and those who wait for it, served in the order of their coming.

use std::collections::VecDeque;

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// One thing and the line before it.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// `None` while somebody has it.
    thing: Option<T>,
    waiting: VecDeque<Ticket>,
    next: u64,
}

impl<T> Line<T> {
    pub(super) fn with(thing: T) -> Self {
        Self { thing: Some(thing), waiting: VecDeque::new(), next: 0 }
    }

    /// Queues up.
    pub(super) fn join(&mut self) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting.push_back(ticket);
        ticket
    }

    /// The thing, if it is there and `ticket` is the next; the ticket then is spent.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<T> {
        if self.waiting.front() != Some(&ticket) {
            return None;
        }
        let thing = self.thing.take()?;
        self.waiting.pop_front();
        Some(thing)
    }

    /// Gives up waiting.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiting.retain(|waiting| *waiting != ticket);
    }

    /// Puts the thing back.
    pub(super) fn put(&mut self, thing: T) {
        self.thing = Some(thing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_came_first_is_served_first_and_nobody_overtakes() {
        let mut line = Line::with("device");
        let [first, second, third] = [0; 3].map(|_| line.join());
        assert_eq!(line.take(second), None);
        assert_eq!(line.take(first), Some("device"));
        assert_eq!(line.take(second), None, "it is not there");
        line.put("device");
        // whoever had it just now is behind those who wait
        let again = line.join();
        assert_eq!(line.take(again), None);
        line.leave(second);
        assert_eq!(line.take(third), Some("device"));
        line.put("device");
        assert_eq!(line.take(again), Some("device"));
    }
}
