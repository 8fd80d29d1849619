//! Texts that are kept on records (R5): errors and reasons are cut, names are kept whole or not.

use std::sync::Arc;

use super::{Effect, Session, Transition};
use crate::protocol::Branch;

impl Session {
    /// An error or a reason as records, notifications and `ended` have it.
    pub(super) fn kept_text(&self, text: Arc<str>) -> Arc<str> {
        cut(text, self.settings.max_text_bytes as usize)
    }

    /// A branch as records have it. One that cannot be kept is warned about.
    pub(super) fn kept_branch(
        &self,
        branch: Branch,
        execution_id: &str,
        out: &mut Transition,
    ) -> Branch {
        let unfit = match &branch {
            Branch::Unnamed => false,
            Branch::Named(name) => name.len() > self.settings.max_id_bytes as usize,
            Branch::Unfit => true,
        };
        if unfit {
            out.effects.push(Effect::Warn(format!(
                "execution {execution_id}: the branch that it names is no text, or longer than \
                 max_id_bytes; none is kept"
            )));
            return Branch::Unfit;
        }
        branch
    }
}

/// As much of a text as fits, and how much is missing; cut between characters.
pub(crate) fn cut(text: Arc<str>, max_bytes: usize) -> Arc<str> {
    if text.len() <= max_bytes {
        return text;
    }
    let suffix = |end: usize| format!("… (+{} bytes)", text.len() - end);
    let fits = |end: &usize| text.is_char_boundary(*end) && end + suffix(*end).len() <= max_bytes;
    let end = (0..=max_bytes).rev().find(fits).unwrap_or(0);
    format!("{}{}", &text[..end], suffix(end)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_as_fits_is_kept_between_characters() {
        let whole: Arc<str> = "x".repeat(64).into();
        assert_eq!(cut(whole.clone(), 64), whole);
        assert_eq!(&*cut("x".repeat(65).into(), 64), format!("{}… (+16 bytes)", "x".repeat(49)));
        for (character, times) in [("x", 1_000), ("ä", 70), ("語", 40), ("😀", 100_000)] {
            let text = character.repeat(times);
            for max in 64..90 {
                let kept = cut(text.as_str().into(), max);
                let (start, rest) = kept.split_once('…').unwrap();
                assert!(text.starts_with(start), "{kept}");
                assert_eq!(rest, format!(" (+{} bytes)", text.len() - start.len()));
                assert!(kept.len() <= max, "{kept}");
                // One character more would not have fitted, whatever it saves in digits.
                let more = start.len() + character.len();
                let longer = format!("… (+{} bytes)", text.len() - more);
                assert!(more + longer.len() > max, "{kept}");
            }
        }
    }
}
