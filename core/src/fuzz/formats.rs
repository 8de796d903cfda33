//! Formats against any text: one spelling, the same value, and refusals that show nothing.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::error::{ErrorKind, Result};
use crate::keys::Format;
use crate::limits;

/// Text that no format below accepts, except for its length.
const REFUSED: &str = "!";

/// What a spelling must keep of the key.
#[derive(Clone, Copy)]
enum Keeps {
    Everything,
    EverythingButCase,
    ItsDigits,
}

static FORMATS: LazyLock<Result<Vec<(Format, Keeps)>>> = LazyLock::new(|| {
    Ok(vec![
        (Format::any(), Keeps::Everything),
        (Format::any().min_len(20)?, Keeps::Everything),
        (Format::uuid(), Keeps::ItsDigits),
        (Format::uuid_v4(), Keeps::ItsDigits),
        (Format::uuid_v7(), Keeps::ItsDigits),
        (Format::ulid(), Keeps::EverythingButCase),
        (Format::base64url(), Keeps::Everything),
        (Format::base64url().min_len(22)?, Keeps::Everything),
        (Format::regex("[a-z]{1,8}-[0-9]+|(a*)*b")?, Keeps::Everything),
        (Format::regex("(?i)x.+y")?.min_len(4)?, Keeps::Everything),
    ])
});

/// Takes the first byte as the format, or for a pattern, and the rest as the text of a key, or as that
/// pattern.
pub fn formats(data: &[u8]) {
    let Some((&first, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let formats = FORMATS.as_ref();
    assert!(formats.is_ok(), "a format of the fuzzer's own is refused");
    for (format, keeps) in formats.iter().flat_map(|all| all.get(usize::from(first))) {
        key(format, *keeps, &text);
    }
    if first == u8::MAX {
        pattern(&text);
    }
}

fn key(format: &Format, keeps: Keeps, key: &str) {
    match format.normalize(key) {
        Ok(spelled) => {
            let again = format.normalize(&spelled);
            assert!(matches!(again, Ok(Cow::Borrowed(same)) if same == spelled), "spelled in two ways");
            assert!(spelled.len() <= limits::KEY.max as usize, "longer than a key");
            assert!(spelled.len() <= key.len() + 4, "longer than by the hyphens of a UUID");
            assert!(same_value(keeps, key, &spelled), "another value");
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            // Word for word what another key of this length gets: it cannot show any of this one.
            let other = format.normalize(&REFUSED.repeat(key.len())).err();
            assert_eq!(other.map(|other| other.to_string()), Some(error.to_string()));
        }
    }
}

fn same_value(keeps: Keeps, key: &str, spelled: &str) -> bool {
    match keeps {
        Keeps::Everything => key == spelled,
        Keeps::EverythingButCase => key.to_ascii_uppercase() == spelled,
        Keeps::ItsDigits => {
            let lower = key.to_ascii_lowercase();
            let behind = lower.strip_prefix("urn:uuid:").unwrap_or(&lower);
            let digits = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>();
            digits(behind) == digits(spelled) && spelled.len() == 36
        }
    }
}

/// A pattern is refused, or matches whole keys: all that it matches by itself from end to end, and none in
/// which it finds nothing.
fn pattern(pattern: &str) {
    let Ok(format) = Format::regex(pattern) else { return };
    let by_itself = regex_lite::Regex::new(pattern);
    assert!(by_itself.is_ok(), "only a pattern between parentheses is a pattern");
    for key in ["a", "order-1", "a\nb", "\u{e9}!", "((", pattern] {
        if key.is_empty() || key.len() > limits::KEY.max as usize {
            continue;
        }
        let accepted = format.normalize(key).is_ok();
        for found in by_itself.iter().map(|by_itself| by_itself.find(key)) {
            assert!(!accepted || found.is_some(), "accepted, and the pattern is not in it");
            let whole = found.is_some_and(|found| found.range() == (0..key.len()));
            assert!(accepted || !whole, "refused, and the pattern matches it");
        }
    }
}
