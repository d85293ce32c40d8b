//! The screenful: the messages that `h` lists, and the current one among them. The current message is a place in the
//! screenful, not a number: when a message before it goes, the next one moves up into its place, as mailutils has it.

use super::session::State;

/// A part of the mailbox as high as the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The message that it begins with, or would, were it not deleted.
    top: usize,
    /// The current message, counted from the first that is there.
    place: usize,
    height: usize,
}

impl Page {
    pub fn new(height: usize) -> Page {
        Page { top: 0, place: 0, height: height.max(1) }
    }

    /// The messages of the screenful.
    pub fn messages(self, states: &[State]) -> impl Iterator<Item = usize> + '_ {
        (self.top..states.len()).filter(|&index| !states[index].deleted).take(self.height)
    }

    /// The current message; a deleted one where nothing is left from the top on.
    pub fn current(self, states: &[State]) -> usize {
        self.messages(states).take(self.place + 1).last().unwrap_or(self.top)
    }

    /// Another screen.
    pub fn resize(&mut self, height: usize, states: &[State]) {
        if self.height != height.max(1) {
            self.height = height.max(1);
            self.settle(states);
        }
    }

    /// After messages went or came back: the place stays where it can.
    pub fn settle(&mut self, states: &[State]) {
        self.place = self.place.min(self.messages(states).count().saturating_sub(1));
    }

    /// Makes a message the current one. Where the screenful does not hold it, the next one begins with it.
    pub fn go(&mut self, index: usize, states: &[State]) {
        match self.messages(states).position(|one| one == index) {
            Some(place) => self.place = place,
            None => {
                (self.top, self.place) = (index, 0);
                self.fill(states);
            }
        }
    }

    /// Further by so many messages; false when that is beyond the last screenful.
    pub fn forward(&mut self, count: usize, states: &[State]) -> bool {
        // A screenful that is not full is the last one. Deleted ones count, in mailutils, but for those at the top.
        let full = self.messages(states).count() == self.height;
        let ahead = self.messages(states).next().filter(|_| full).and_then(|first| first.checked_add(count));
        let Some(top) = ahead.filter(|&top| top < states.len()) else { return false };
        self.top = top;
        self.fill(states);
        true
    }

    /// Back by so many messages; false at the first screenful.
    pub fn back(&mut self, count: usize, states: &[State]) -> bool {
        let before = (0..self.top).rev().filter(|&index| !states[index].deleted).take(count).last();
        let top = before.or_else(|| self.messages(states).next().filter(|&first| first != self.top));
        if let Some(top) = top {
            self.top = top;
        }
        top.is_some()
    }

    /// The last screenful is a full one.
    fn fill(&mut self, states: &[State]) {
        let missing = self.height - self.messages(states).count();
        let mut before = (0..self.top).rev().filter(|&index| !states[index].deleted);
        let (mut top, mut more) = (self.top, 0);
        while more < missing
            && let Some(index) = before.next()
        {
            (top, more) = (index, more + 1);
        }
        self.top = top;
        self.place += more;
        self.settle(states);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A screen of five lines on twenty messages, after `steps`: -n deletes message n, n takes it back.
    fn after(page: &mut Page, states: &mut [State], steps: &[i32]) -> usize {
        for step in steps {
            states[step.unsigned_abs() as usize - 1].deleted = *step < 0;
            page.settle(states);
        }
        page.current(states) + 1
    }

    #[test]
    fn the_current_message_is_a_place() {
        let (mut page, mut states) = (Page::new(5), vec![State::default(); 20]);
        page.go(3, &states);
        assert_eq!(after(&mut page, &mut states, &[]), 4);
        assert_eq!(after(&mut page, &mut states, &[-1]), 5);
        assert_eq!(after(&mut page, &mut states, &[-2]), 6);
        assert_eq!(after(&mut page, &mut states, &[1, 2]), 4);
        assert_eq!(after(&mut page, &mut states, &[-4]), 5);
        page.go(9, &states);
        assert_eq!(page.messages(&states).collect::<Vec<_>>(), [9, 10, 11, 12, 13]);
        assert_eq!(after(&mut page, &mut states, &[-2, -3, -19]), 10, "what is not on the screen moves nothing");
        assert!(page.forward(5, &states));
        assert_eq!(page.messages(&states).collect::<Vec<_>>(), [14, 15, 16, 17, 19]);
        assert!(page.forward(5, &states), "the deleted one is counted");
        assert_eq!((page.current(&states), page.messages(&states).next()), (19, Some(14)));
        assert!(!page.forward(6, &states));
        assert!(page.back(50, &states) && !page.back(1, &states));
        assert_eq!(page.messages(&states).collect::<Vec<_>>(), [0, 4, 5, 6, 7]);
    }
}
