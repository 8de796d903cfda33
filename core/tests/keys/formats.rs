//! Keys of others: one spelling, or a refusal that shows nothing of them.

use proptest::prelude::*;
use semel::ErrorKind;
use semel::keys::Format;

use super::{generators, refused};

const NIL: &str = "00000000-0000-0000-0000-000000000000";
const V4: &str = "919108f7-52d1-4320-9bac-f847db4148a8";
const V7: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// One format of each kind.
fn formats() -> Vec<Format> {
    let mut all: Vec<_> = generators().into_iter().map(|(_, format)| format).collect();
    all.extend([Format::any(), Format::any().min_len(20).unwrap()]);
    all.extend([Format::uuid(), Format::ulid(), Format::base64url()]);
    all
}

#[test]
fn a_uuid_has_one_spelling() {
    let bare = V7.replace('-', "");
    let spellings =
        [V7.into(), bare.clone(), format!("{{{V7}}}"), format!("urn:uuid:{V7}"), format!("URN:uuid:{V7}")];
    for format in [Format::uuid(), Format::uuid_v7()] {
        for spelling in &spellings {
            assert_eq!(format.normalize(spelling).unwrap(), V7);
            let shouted = spelling.to_uppercase();
            assert_eq!(format.normalize(&shouted).unwrap(), V7, "{shouted}");
        }
    }
    let shapes = [
        format!("{{{bare}}}"),
        format!("urn:uuid:{bare}"),
        format!("{{{V7}"),
        format!(" {V7}"),
        format!("{V7}\n"),
        V7.replace('-', "_"),
        V7.replace('-', ":"),
        V7.replace('f', "g"),
        V7[..35].into(),
        format!("{V7}0"),
        format!("uuid:{V7}"),
        V7.replace('0', "\u{ff10}"),
    ];
    for shape in shapes {
        refused(Format::uuid().normalize(&shape));
    }
}

#[test]
fn a_uuid_that_nobody_set_is_refused() {
    for unset in [NIL.to_owned(), NIL.replace('0', "f"), NIL.replace('-', "")] {
        for format in [Format::uuid(), Format::uuid_v4(), Format::uuid_v7()] {
            refused(format.normalize(&unset));
        }
    }
    refused(Format::ulid().normalize(&"0".repeat(26)));
}

#[test]
fn the_versions_of_uuids_are_told_apart() {
    assert_eq!(Format::uuid().normalize(V4).unwrap(), V4);
    assert_eq!(Format::uuid_v4().normalize(V4).unwrap(), V4);
    assert!(refused(Format::uuid_v7().normalize(V4)).contains("of version 7"));
    assert!(refused(Format::uuid_v4().normalize(V7)).contains("of version 4"));
    // Version 4 and 7 by that digit, but the variant of Microsoft's old ones.
    refused(Format::uuid_v4().normalize("919108f7-52d1-4320-cbac-f847db4148a8"));
    refused(Format::uuid_v7().normalize("017f22e2-79b0-7cc3-d8c4-dc0c0c07398f"));
    Format::uuid().normalize("919108f7-52d1-4320-cbac-f847db4148a8").unwrap();
}

#[test]
fn a_ulid_has_one_spelling() {
    let ulid = Format::ulid();
    assert_eq!(ulid.normalize(ULID).unwrap(), ULID);
    assert_eq!(ulid.normalize(&ULID.to_lowercase()).unwrap(), ULID);
    let most = format!("7{}", "Z".repeat(25));
    assert_eq!(ulid.normalize(&most).unwrap(), most);
    let over = format!("8{}", "0".repeat(25));
    for bad in [&over, &ULID[..25], &format!("{ULID}0"), &format!("{}-", &ULID[..25])] {
        refused(ulid.normalize(bad));
    }
    for letter in "ILOUilou".chars() {
        refused(ulid.normalize(&format!("{}{letter}", &ULID[..25])));
    }
}

#[test]
fn base64url_has_one_spelling() {
    let base64url = Format::base64url();
    for good in ["AA", "AQ", "_w", "-_A", "AAAA", "Zm9v"] {
        assert_eq!(base64url.normalize(good).unwrap(), good);
    }
    // Cut short; spare bits set; padded; the other alphabet; not ASCII.
    for bad in ["A", "AAAAA", "AB", "_x", "AAB", "AA==", "AA=", "+/8", "A A", "A\u{e9}"] {
        refused(base64url.normalize(bad));
    }
    assert_eq!(base64url.normalize(&"A".repeat(255)).unwrap().len(), 255);
    assert_eq!(base64url.normalize(&"A".repeat(254)).unwrap().len(), 254);
}

#[test]
fn a_pattern_matches_the_whole_key_or_nothing() {
    let order = Format::regex("order-[0-9]{1,9}|invoice-[0-9]+").unwrap();
    for good in ["order-1", "invoice-0000000000"] {
        assert_eq!(order.normalize(good).unwrap(), good);
    }
    for bad in ["order-1 ", "xorder-1", "order-1\n", "order-1\nx", "order-", "order-1invoice-1"] {
        refused(order.normalize(bad));
    }
    // Flags of the pattern end with it.
    refused(Format::regex("(?m)a").unwrap().normalize("a\nb"));
    refused(Format::regex("(?s).").unwrap().normalize("\n\n"));
    // Each of these would be a pattern if it stood between parentheses, or swallow the one behind it.
    for bad in ["a)|(?:b", "(", "a)(b", "(?x)a #", r"\", "[", "a{100000}", &"(a?){90}".repeat(90)] {
        let error = refused(Format::regex(bad).map(|_| ()));
        assert!(error.starts_with("the pattern of a key format: "), "{error}");
    }
    Format::regex("[A-Za-z0-9_-]{1,255}").unwrap();
}

#[test]
fn a_least_length_counts_bytes_of_what_comes_out() {
    let format = Format::any().min_len(8).unwrap();
    assert_eq!(format.normalize("12345678").unwrap(), "12345678");
    assert_eq!(format.normalize("\u{e9}\u{e9}\u{e9}\u{e9}").unwrap().len(), 8);
    let error = refused(format.normalize("1234567"));
    assert!(error.contains("key of 7 bytes is not as agreed: any text, at least 8 bytes"), "{error}");
    let bare = V4.replace('-', "");
    assert_eq!(Format::uuid().min_len(36).unwrap().normalize(&bare).unwrap(), V4);
    refused(Format::uuid().min_len(37).unwrap().normalize(V4));

    assert_eq!(Format::any().min_len(255).unwrap().normalize(&"k".repeat(255)).unwrap().len(), 255);
    for bad in [0, 256, usize::MAX] {
        assert!(refused(Format::any().min_len(bad).map(|_| ())).contains("min_len is "));
    }
}

#[test]
fn a_key_has_the_limits_of_a_store() {
    for format in formats() {
        assert!(refused(format.normalize("")).contains("key is 0 bytes; it must be 1 to 255 bytes"));
        let error = refused(format.normalize(&"k".repeat(256)));
        assert!(error.contains("key is 256 bytes; it must be 1 to 255 bytes"), "{error}");
    }
    assert_eq!(Format::any().normalize(&"k".repeat(255)).unwrap().len(), 255);
    assert_eq!(Format::any().normalize("k").unwrap(), "k");
}

#[test]
fn no_key_is_too_hostile() {
    let megabyte = "canary! ".repeat(1 << 17);
    // A matcher that goes back and tries again would not end.
    let hostile = Format::regex("(a*)*(a|aa)+[a-z]{1,99}b").unwrap();
    for format in formats().iter().chain([&hostile]) {
        let error = refused(format.normalize(&megabyte));
        assert!(error.len() < 200 && !error.contains("canary"), "{error}");
    }
    for key in ["a".repeat(255), format!("{}canary", "a".repeat(249)), "a\0".repeat(127)] {
        assert!(!refused(hostile.normalize(&key)).contains("canary"));
    }
}

proptest! {
    #[test]
    fn every_uuid_is_accepted_in_every_spelling(bits in 2_u128..u128::MAX - 1, shout: bool) {
        let id = uuid::Uuid::from_u128(bits);
        let canonical = id.hyphenated().to_string();
        for spelling in [
            canonical.clone(),
            id.simple().to_string(),
            id.braced().to_string(),
            id.urn().to_string(),
        ] {
            let spelling = if shout { spelling.to_uppercase() } else { spelling };
            prop_assert_eq!(&Format::uuid().normalize(&spelling).unwrap(), &canonical);
        }
    }

    #[test]
    fn every_ulid_is_accepted_in_either_case(key in "[0-7][0-9A-HJKMNP-TV-Z]{24}[1-9A-HJKMNP-TV-Z]") {
        prop_assert_eq!(&Format::ulid().normalize(&key).unwrap(), &key);
        let lower = key.to_lowercase();
        prop_assert_eq!(&Format::ulid().normalize(&lower).unwrap(), &key);
    }

    /// A spelling of base64url is accepted exactly if it is the one of its bytes.
    #[test]
    fn base64url_is_that_of_some_bytes(key in "[A-Za-z0-9_-]{1,12}[A-Za-z0-9_=-]") {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let bytes = lenient().decode(&key);
        let canonical = bytes.is_ok_and(|bytes| engine.encode(bytes) == key);
        prop_assert_eq!(Format::base64url().normalize(&key).is_ok(), canonical);
    }

    #[test]
    fn what_comes_out_goes_in_again(key in key_like()) {
        for format in formats() {
            match format.normalize(&key) {
                Ok(spelled) => {
                    prop_assert_eq!(&format.normalize(&spelled).unwrap(), &spelled);
                    prop_assert!(spelled.len() <= key.len() + 4);
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument),
            }
        }
    }
}

/// A reader of base64url that overlooks spare bits.
fn lenient() -> base64::engine::GeneralPurpose {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, config)
}

fn key_like() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[47][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}",
        "[0-9a-fA-F]{32}",
        "[0-9a-zA-Z]{26}",
        "[A-Za-z0-9_-]{1,60}",
    ]
}
