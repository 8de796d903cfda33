//! Keys made from something: the same in another language, and never two lists of parts with one key.

use proptest::prelude::*;
use semel::keys;

use super::refused;

/// Computed by Python's hashlib and hmac from the formulas in the documentation.
#[test]
fn derived_keys_are_those_of_another_language() {
    let bytes: Vec<u8> = (0..=255).collect();
    let long = [b'x'; 300];
    let rows: [(&[&[u8]], &str); 5] = [
        (&[b"invoice", b"4711", b"2026-11"], "J08zwtRNLcbzJU2SjToQmoqR-7gyb3t214Wr1l1ES-A"),
        (&[], "jB1w_VVfgl1p0n2RTr_t572Ll3NfJyrbcmrT5QXSTNk"),
        (&[b""], "dvrmSCm9ZVuhrOA72hhqzn4KOm6eNtxYRn47se_57rE"),
        (&[b"a", b"bc"], "RCb8CcAKFinseGYxwWVjl6I-0-jpBtVSq99K-Xm2Ds0"),
        (&[&long, &bytes], "4IDiae7ZIgfNmYO9XAej4YQcN7llH0mEUA9f1bRjodI"),
    ];
    for (parts, key) in rows {
        assert_eq!(keys::derive(parts), key);
    }
    let charge = |secret| keys::downstream("POST /orders", "order-4711", "charge the card", secret).unwrap();
    assert_eq!(charge(None), "y8Ut2C5J3h9YqyLKQrC-jR-fR1UvNpT3TMpExBfjg1U");
    assert_eq!(charge(Some(b"0123456789abcdef")), "neH6iAiwc9LcVA2kbpudbkzAuMgF9ZAz4xgmXz_Orbo");
    assert_eq!(charge(Some(&[b's'; 100])), "ldcbmKOma7kr7bEQ_tHZNATBLIOMk7nvrZow2IbhyLg");
    let bare = keys::downstream("", b"\0\xff", "s", None).unwrap();
    assert_eq!(bare, "CEO3fsbykcgoLH4PMDtJJZk8Q1WIJNYZGJz6iQVghoE");
}

#[test]
fn a_downstream_secret_has_limits() {
    let long = "canary".repeat(50);
    let down = |scope: &str, key: &str, step: &str, secret: Option<&[u8]>| {
        keys::downstream(scope, key, step, secret)
    };
    let (n, over) = (&long[..255], &long[..256]);
    down(n, n, n, Some(&[1; 1024])).unwrap();
    down("", "k", "s", Some(&[1; 16])).unwrap();
    for (error, limit) in [
        (refused(down(over, "k", "s", None)), "scope is 256 bytes; it must be 0 to 255 bytes"),
        (refused(down("s", over, "s", None)), "key is 256 bytes; it must be 1 to 255 bytes"),
        (refused(down("s", "", "s", None)), "key is 0 bytes; it must be 1 to 255 bytes"),
        (refused(down("s", "k", over, None)), "step is 256 bytes; it must be 1 to 255 bytes"),
        (refused(down("s", "k", "", None)), "step is 0 bytes; it must be 1 to 255 bytes"),
        (
            refused(down("s", "k", "s", Some(&[]))),
            "downstream_secret is 0 bytes; it must be 16 to 1024 bytes",
        ),
        (
            refused(down("s", "k", "s", Some(&[1; 15]))),
            "downstream_secret is 15 bytes; it must be 16 to 1024",
        ),
        (
            refused(down("s", "k", "s", Some(&[1; 1025]))),
            "downstream_secret is 1025 bytes; it must be 16 to 1024",
        ),
    ] {
        assert!(error.contains(limit), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_two_lists_of_parts_are_one_key(
        one in prop::collection::vec(prop::collection::vec(0_u8..2, 0..4), 0..4),
        other in prop::collection::vec(prop::collection::vec(0_u8..2, 0..4), 0..4),
        cut in 0_usize..12,
    ) {
        let derive = |parts: &[Vec<u8>]| {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            keys::derive(&parts)
        };
        prop_assert_eq!(one == other, derive(&one) == derive(&other));
        // The same bytes, cut elsewhere, with one part more.
        let whole = one.concat();
        let (front, back) = whole.split_at(cut.min(whole.len()));
        let moved = vec![front.to_vec(), back.to_vec()];
        prop_assert_eq!(one == moved, derive(&one) == derive(&moved));
        prop_assert_eq!(one.len() == 1, derive(&one) == derive(&[whole]));
    }

    #[test]
    fn scope_key_and_step_of_a_downstream_secret_stay_apart(
        one in ("[ab]{0,3}", "[ab]{1,3}", "[ab]{1,3}"),
        other in ("[ab]{0,3}", "[ab]{1,3}", "[ab]{1,3}"),
    ) {
        let secret: Option<&[u8]> = Some(b"0123456789abcdef");
        for secret in [None, secret] {
            let down = |of: &(String, String, String)| keys::downstream(&of.0, &of.1, &of.2, secret).unwrap();
            prop_assert_eq!(one == other, down(&one) == down(&other));
        }
        let down = |secret| keys::downstream(&one.0, &one.1, &one.2, secret).unwrap();
        prop_assert_ne!(down(secret), down(None));
        prop_assert_ne!(down(secret), down(Some(b"0123456789abcdeg")));
    }
}
