//! The status in lines for people: what `shoutd status` prints, and SIGUSR1 logs.

use super::status::Status;

impl Status {
    /// The status in lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        vec![format!("{:?}", self.state)]
    }
}
