//! Keys that are made from something, the same each time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::limits;

const DERIVE: &[u8] = b"semel derive 1";
const DOWNSTREAM: &[u8] = b"semel downstream 1";

/// A key made from these parts: 43 characters of base64url, the same in every process, language and year.
///
/// ```text
/// key  = base64url without padding( SHA-256( "semel derive 1" part part ... ) )
/// part = length in bytes, 8 bytes big-endian | the bytes
/// ```
///
/// The lengths keep the parts apart: `["a", "bc"]`, `["ab", "c"]` and `["abc"]` are three keys, and so are
/// `[]` and `[""]`. The order counts. Nothing is trimmed or folded: bring numbers, dates and names into one
/// spelling before. The key hides its parts only if they cannot be guessed.
///
/// ```
/// use semel::keys::derive;
///
/// let key = derive(&[b"invoice", b"4711", b"2026-11"]);
/// assert_eq!(key, "J08zwtRNLcbzJU2SjToQmoqR-7gyb3t214Wr1l1ES-A");
/// assert_ne!(derive(&[b"a", b"bc"]), derive(&[b"ab", b"c"]));
/// ```
pub fn derive(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    each_piece(DERIVE, parts, |piece| hash.update(piece));
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// The key to hand to the next service for this step: 43 characters of base64url.
///
/// Made from the scope and the key of the claim and a name of the step, and from nothing that the store
/// holds: a takeover, another attempt and a store that was lost all come to the same key, so the next service
/// sees a retry and not a second order. Other steps of the same claim get other keys.
///
/// ```text
/// without a secret: base64url without padding( SHA-256( message ) )
/// with one:         base64url without padding( HMAC-SHA-256( secret, message ) )
/// message = "semel downstream 1" part(scope) part(key) part(step)
/// part    = length in bytes, 8 bytes big-endian | the bytes
/// ```
///
/// With a secret of the application, 16 to 1024 bytes, nobody who knows a client's key can foretell the key
/// that the next service gets. It must then be the same in every worker for as long as anything may be tried
/// again: another secret is another key, and a second charge.
///
/// # Errors
/// `InvalidArgument` for a scope over 255 bytes, a key or step that is not 1 to 255 bytes, or a secret
/// outside its limits. An empty one, of a setting that was not set, is refused rather than ignored.
///
/// ```
/// # fn main() -> semel::Result<()> {
/// use semel::keys::downstream;
///
/// let charge = downstream("POST /orders", "order-4711", "charge the card", None)?;
/// assert_eq!(charge, "y8Ut2C5J3h9YqyLKQrC-jR-fR1UvNpT3TMpExBfjg1U");
/// assert_ne!(charge, downstream("POST /orders", "order-4711", "print the label", None)?);
/// # Ok(())
/// # }
/// ```
pub fn downstream<K: AsRef<[u8]> + ?Sized>(
    scope: &str,
    key: &K,
    step: &str,
    secret: Option<&[u8]>,
) -> Result<String> {
    let key = key.as_ref();
    limits::SCOPE.check(scope.len() as u64)?;
    limits::KEY.check(key.len() as u64)?;
    limits::STEP.check(step.len() as u64)?;
    let parts = [scope.as_bytes(), key, step.as_bytes()];
    let Some(secret) = secret else {
        let mut hash = Sha256::new();
        each_piece(DOWNSTREAM, &parts, |piece| hash.update(piece));
        return Ok(URL_SAFE_NO_PAD.encode(hash.finalize()));
    };
    limits::DOWNSTREAM_SECRET.check(secret.len() as u64)?;
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return Err(Error::invalid("downstream_secret is of no length that HMAC takes")); // it takes any
    };
    each_piece(DOWNSTREAM, &parts, |piece| mac.update(piece));
    Ok(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The label, then each part behind its length: no two lists of parts are the same bytes.
fn each_piece(label: &[u8], parts: &[&[u8]], mut take: impl FnMut(&[u8])) {
    take(label);
    for part in parts {
        take(&(part.len() as u64).to_be_bytes());
        take(part);
    }
}
