//! Keys of others: whether they look as agreed, and one spelling for each.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex_lite::{Regex, RegexBuilder};
use uuid::{Uuid, Variant};

use crate::error::{Error, Result};
use crate::limits;

/// Memory of a compiled pattern. It bounds the time of a match, which is at most the length of the key times
/// the size of the pattern: some milliseconds where both are at their limit.
const PATTERN_BYTES: usize = 128 << 10;

const DECODED_MAX: usize = limits::KEY.max as usize / 4 * 3 + 3;

/// How keys must look, and their one spelling: a retry that spells its key in another way is still a retry.
///
/// Only spellings of the same value are brought together. Nothing is trimmed and no letters are folded beside
/// those that a format names. A key is 1 to 255 bytes before and after.
///
/// ```
/// use semel::keys::Format;
/// # fn main() -> semel::Result<()> {
/// let format = Format::uuid_v7();
/// let key = format.normalize("URN:UUID:017F22E2-79B0-7CC3-98C4-DC0C0C07398F")?;
/// assert_eq!(key, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
/// assert!(format.normalize("order-4711").is_err());
///
/// let format = Format::regex("order-[0-9]+")?.min_len(10)?;
/// assert_eq!(format.normalize("order-4711")?, "order-4711");
/// assert!(format.normalize("order-1").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Format {
    kind: Kind,
    min_len: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    Any,
    /// Of this version, or of any.
    Uuid(Option<usize>),
    Ulid,
    Base64url,
    Regex(Regex),
}

impl Format {
    /// Any text.
    pub fn any() -> Self {
        Self::of(Kind::Any)
    }

    /// A UUID of any version. Its spelling is lower case with hyphens.
    ///
    /// Accepted in upper, lower or mixed case: with hyphens (8-4-4-4-12), as 32 digits without, in braces
    /// with hyphens, and with hyphens behind `urn:uuid:`. These are the same value to every library, and a
    /// client that changes its library must not pay twice. The nil and the max UUID (all zero, all one) are
    /// refused: they are what a variable holds that nobody has set.
    pub fn uuid() -> Self {
        Self::of(Kind::Uuid(None))
    }

    /// As [`Format::uuid`], of version 4 and the variant of RFC 9562 only.
    pub fn uuid_v4() -> Self {
        Self::of(Kind::Uuid(Some(4)))
    }

    /// As [`Format::uuid`], of version 7 and the variant of RFC 9562 only.
    pub fn uuid_v7() -> Self {
        Self::of(Kind::Uuid(Some(7)))
    }

    /// A ULID: 26 digits and letters of either case, `7ZZZZZZZZZZZZZZZZZZZZZZZZZ` at most. Its spelling is
    /// upper case.
    ///
    /// `I`, `L`, `O` and `U` are refused. The ULID text (github.com/ulid/spec) leaves them out of its
    /// alphabet; that they might be read as 1 and 0 is said for Crockford's base 32 alone, and libraries
    /// disagree about it. No generator writes them. The zero ULID is refused like the nil UUID.
    pub fn ulid() -> Self {
        Self::of(Kind::Ulid)
    }

    /// base64url (RFC 4648, section 5) without padding, of whole bytes: where the last character has bits to
    /// spare they are zero, so that each value has one spelling.
    pub fn base64url() -> Self {
        Self::of(Kind::Base64url)
    }

    /// Text that this pattern matches from its first to its last character. Time grows with the length of the
    /// key, never worse. The syntax is that of the crate `regex-lite`: classes such as `\w` are ASCII, `.`
    /// is any character but a line feed.
    ///
    /// In a program of several threads make it after a fork, not before: the engine keeps its memory behind a
    /// lock, and what another thread held at the fork stays held.
    ///
    /// # Errors
    /// `InvalidArgument` for a pattern that cannot be read, or takes more than 128 KiB when it is compiled.
    pub fn regex(pattern: &str) -> Result<Self> {
        let wrong = |e: regex_lite::Error| Error::invalid(format!("the pattern of a key format: {e}"));
        let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
        // By itself first: a parenthesis too many would otherwise find its partner in those around it.
        compile(pattern).map_err(wrong)?;
        Ok(Self::of(Kind::Regex(compile(&format!("^(?:{pattern})$")).map_err(wrong)?)))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, min_len: 1 }
    }

    /// Asks for keys of at least so many bytes, 1 to 255, in the spelling that comes out.
    ///
    /// # Errors
    /// `InvalidArgument` for another number.
    pub fn min_len(mut self, bytes: usize) -> Result<Self> {
        self.min_len = limits::MIN_LEN.check(bytes as u64)? as usize;
        Ok(self)
    }

    /// The one spelling of this key.
    ///
    /// # Errors
    /// `InvalidArgument` if the key does not look as agreed. The message says what was wanted and how long
    /// the key is; of the key it shows nothing.
    pub fn normalize<'k>(&self, key: &'k str) -> Result<Cow<'k, str>> {
        // First, so that no more than this is ever looked at.
        limits::KEY.check(key.len() as u64)?;
        let spelled = match &self.kind {
            Kind::Any => Some(key.into()),
            Kind::Uuid(version) => uuid(key, *version),
            Kind::Ulid => ulid(key),
            Kind::Base64url => base64url(key).then(|| key.into()),
            Kind::Regex(pattern) => pattern.is_match(key).then(|| key.into()),
        };
        let long_enough = |spelled: &Cow<'_, str>| spelled.len() >= self.min_len;
        spelled.filter(long_enough).ok_or_else(|| {
            Error::invalid(format!("a key of {} bytes is not as agreed: {}", key.len(), self.wanted()))
        })
    }

    /// Of the format, not of the key: an error that told one refusal from another could be made to tell keys.
    fn wanted(&self) -> String {
        let mut wanted = match &self.kind {
            Kind::Any => "any text".to_owned(),
            Kind::Uuid(None) => "a UUID (8-4-4-4-12 hexadecimal digits), not nil and not max".into(),
            Kind::Uuid(Some(version)) => {
                format!("a UUID (8-4-4-4-12 hexadecimal digits) of version {version}")
            }
            Kind::Ulid => "a ULID (26 digits and letters, none of I, L, O and U), not zero".into(),
            Kind::Base64url => {
                "base64url (letters, digits, '-' and '_') of whole bytes, no padding, spare bits zero".into()
            }
            Kind::Regex(pattern) => format!("all of it matched by {}", pattern.as_str()),
        };
        if self.min_len > 1 {
            wanted += &format!(", at least {} bytes", self.min_len);
        }
        wanted
    }
}

fn uuid(key: &str, version: Option<usize>) -> Option<Cow<'_, str>> {
    let uuid = Uuid::try_parse(key).ok()?;
    let fits = match version {
        None => !uuid.is_nil() && !uuid.is_max(),
        Some(version) => uuid.get_version_num() == version && uuid.get_variant() == Variant::RFC4122,
    };
    let mut buffer = [0; 36];
    let spelled = uuid.hyphenated().encode_lower(&mut buffer);
    fits.then(|| same_or_owned(key, spelled))
}

fn ulid(key: &str) -> Option<Cow<'_, str>> {
    let mut upper = <[u8; 26]>::try_from(key.as_bytes()).ok()?;
    upper.make_ascii_uppercase();
    let digit = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() && !b"ILOU".contains(byte);
    let fits = upper.iter().all(digit) && upper[0] <= b'7' && upper != [b'0'; 26];
    fits.then(|| same_or_owned(key, str::from_utf8(&upper).unwrap_or_default()))
}

fn base64url(key: &str) -> bool {
    URL_SAFE_NO_PAD.decode_slice(key, &mut [0; DECODED_MAX]).is_ok()
}

fn same_or_owned<'k>(key: &'k str, spelled: &str) -> Cow<'k, str> {
    if key == spelled { key.into() } else { spelled.to_owned().into() }
}
