use super::*;

/// Reads these, shows them as that, and reads that as the same.
fn are_read<K: Kind<Of: PartialEq + fmt::Debug>>(table: &[(Value, Value)]) {
    for (given, shown) in table {
        let read = K::read(given).unwrap_or_else(|wanted| panic!("{given}: {wanted}"));
        assert_eq!(K::write(&read), *shown, "{given}");
        assert_eq!(K::read(shown).unwrap(), read, "{shown}");
    }
}

fn are_refused<K: Kind<Of: fmt::Debug>>(values: &[Value]) {
    for value in values {
        assert!(K::read(value).unwrap_err().starts_with("give "), "{value}");
    }
}

fn t(text: &str) -> Value {
    Value::text(text)
}

fn w(word: &str) -> Value {
    Value::Word(word.to_owned())
}

const N: fn(u64) -> Value = Value::Number;

#[test]
fn times() {
    are_read::<Time<0>>(&[
        (t("30s"), t("30s")),
        (t("1m 30s"), t("90s")),
        (t("90m"), t("90m")),
        (t("720h"), t("30d")),
        (t("1500ms"), t("1500ms")),
        (t("0s"), t("0s")),
        (w("2h"), t("2h")),
        (t("7us"), t("7us")),
        (t("9ns"), t("9ns")),
    ]);
    are_refused::<Time<0>>(&[t("30"), t("-1s"), t("soon"), t(""), N(30), t("20000d"), Value::Truth(true)]);
    are_refused::<Time<1>>(&[t("0s"), t("1us")]);
}

#[test]
fn sizes() {
    are_read::<Size<u64, 0>>(&[
        (t("64 MiB"), t("64 MiB")),
        (t("64MiB"), t("64 MiB")),
        (N(3_500_000), N(3_500_000)),
        (t("10GB"), N(10_000_000_000)),
        (w("1024"), t("1 KiB")),
        (t("1.5GiB"), t("1.5 GiB")),
        (N(0), N(0)),
    ]);
    are_refused::<Size<u64, 1>>(&[N(0), t("-1 MiB"), t("MiB"), t("10 bushels"), t("99999999999TiB")]);
    are_refused::<Size<usize, 1>>(&[Value::Truth(true), Value::List(Vec::new()), t("")]);
}

#[test]
fn addresses() {
    are_read::<Optional<Address>>(&[
        (N(8090), t("127.0.0.1:8090")),
        (w("8090"), t("127.0.0.1:8090")),
        (t("0.0.0.0:0"), t("0.0.0.0:0")),
        (t("[::]:80"), t("[::]:80")),
        (t("none"), t("none")),
    ]);
    are_refused::<Address>(&[N(70_000), t("nowhere"), t("none"), w("70000"), t(":80:")]);
}

#[test]
fn numbers_and_words() {
    are_read::<Count<0>>(&[(N(0), N(0)), (w("7"), N(7))]);
    are_refused::<Count<1>>(&[N(0), w("-1"), t("7"), w("many")]);
    are_read::<Optional<Rate>>(&[(N(5), N(5)), (w("none"), t("none"))]);
    are_refused::<Optional<Rate>>(&[N(0), N(1 << 40)]);
    are_read::<Fullness>(&[(t("refuse-new"), t("refuse-new")), (w("drop-oldest"), t("drop-oldest"))]);
    are_refused::<Fullness>(&[t("drop"), Value::Truth(false)]);
    are_read::<Truth>(&[(w("true"), Value::Truth(true)), (Value::Truth(false), Value::Truth(false))]);
    are_refused::<Truth>(&[t("true"), N(1), w("yes")]);
    are_read::<Optional<Place>>(&[(t("a/b"), t("a/b")), (t("./none"), t("./none")), (t("none"), t("none"))]);
    are_refused::<Place>(&[t(""), N(1)]);
}

#[test]
fn lists_and_names() {
    let list = |words: &[&str]| Value::List(words.iter().map(|word| (*word).to_owned()).collect());
    are_read::<Ids>(&[(w("1,2"), list(&["1", "2"])), (list(&[]), list(&[]))]);
    are_refused::<Ids>(&[list(&["a b"]), list(&[""]), t("1"), N(1)]);
    are_read::<UrlPaths>(&[(w("/a,/b/c"), list(&["/a", "/b/c"]))]);
    are_refused::<UrlPaths>(&[list(&["a"]), list(&["/"]), list(&["/a/"]), list(&["/a?b"]), list(&["/é"])]);
    are_read::<Name>(&[(t("eu-1_b"), t("eu-1_b"))]);
    are_refused::<Name>(&[t(""), t("a/b"), t(".."), t("é"), t(&"a".repeat(65))]);
}
