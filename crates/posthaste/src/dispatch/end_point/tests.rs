use EndPointProblem as Problem;

use super::*;

fn problem(url: &str) -> Option<Problem> {
    EndPoint::check(url).err().map(|error| error.problem())
}

/// Every scheme with every host, port and path that there may be.
#[test]
fn every_whole_url_is_taken_and_its_address_known() {
    let label = "l".repeat(63);
    let long = [&*label, &label, &label, &"l".repeat(61)].join(".");
    let hosts = [
        "logx.optimizely.com",
        "h",
        "my_relay",
        "a.b.",
        "xn--bcher-kva.example",
        "127.0.0.1",
        "127.1",
        "[::1]",
        "[2001:db8::7]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1.example",
        &long,
    ];
    let ports =
        [("", None), (":1", Some(1)), (":080", Some(80)), (":8080", Some(8080)), (":65535", Some(65_535))];
    let paths = ["", "/", "/v1/events", "?x=1", "/?mail=a@b.c", "/a//b/%20?q=:/?@", "/v1/@me:7"];
    for (scheme, default) in [("http", 80), ("https", 443), ("HTTP", 80), ("hTTpS", 443)] {
        for host in hosts {
            for (port, number) in ports {
                for path in paths {
                    let url = format!("{scheme}://{host}{port}{path}");
                    let end_point = EndPoint::check(&url).unwrap_or_else(|error| panic!("{error}"));
                    assert_eq!(end_point.address(), format!("{host}:{}", number.unwrap_or(default)), "{url}");
                    assert_eq!((end_point.as_str(), end_point.to_string()), (&*url, url.clone()));
                }
            }
        }
    }
}

#[test]
fn every_kind_of_mistake_has_its_name() {
    let long_label = format!("http://{}.example/", "l".repeat(64));
    let long_host = format!("http://{}x/", "abcdefg.".repeat(32));
    let long_url = format!("http://h/{}", "p".repeat(URL_BYTES_MAX));
    for (expected, urls) in [
        (Problem::Empty, &[""][..]),
        (Problem::TooLong, &[&*long_url]),
        (
            Problem::Scheme,
            &[
                "logx.optimizely.com",
                "h:80",
                "/v1/events",
                "//h/",
                "ftp://h/",
                "ws://h/",
                "file:///etc/passwd",
                "http:/h/",
                "http:h",
                "http",
                "://h/",
                "httpx://h/",
                "socks5://h:1080",
                "mailto:a@h",
                "unix:/x",
            ],
        ),
        (Problem::NoHost, &["http://", "https:///x", "http:///", "http://?x", "http://#f", "http://:80/"]),
        (
            Problem::Port,
            &[
                "http://h:/",
                "http://h:",
                "http://h:0/",
                "http://h:00/",
                "http://h:65536/",
                "http://h:99999/",
                "http://h:99999999999/",
                "http://h:-1/",
                "http://h:+80/",
                "http://h:8o/",
                "http://[::1]:/",
                "http://[::1]:0/",
                "http://h:80x?y",
                "http://h:$PORT/",
                "http://h:99999999999999999999999/",
            ],
        ),
        (
            Problem::Host,
            &[
                "http://[::1",
                "http://[]/",
                "http://[::1]80/",
                "http://[h]/",
                "http://[fe80::1%25eth0]/",
                "http://::1/",
                "http://::1:80/",
                "http://1:2:3/",
                "http://a..b/",
                "http://.h/",
                "http://h%20/",
                "http://a,b/",
                "http://h;x/",
                "http://*/",
                "http://{host}/",
                "http://h\\x/",
                "http://[::1]]/",
                &long_label,
                &long_host,
            ],
        ),
        (
            Problem::UserInfo,
            &[
                "http://u@h/",
                "http://u:p@h/",
                "https://:p@h:80/",
                "http://@h/",
                "http://u:p/w@h/",
                "http://a@b@h/",
            ],
        ),
        (Problem::Fragment, &["http://h/#f", "http://h#f", "http://h/x?y#", "http://h/##"]),
    ] {
        for url in urls {
            assert_eq!(problem(url), Some(expected), "{url}");
        }
    }
}

/// Wherever it stands, and before anything else is looked at.
#[test]
fn white_space_control_characters_and_other_alphabets_are_refused_everywhere() {
    let whole = "http://host:80/v1/events?x=1";
    for (letters, expected) in [
        (" \t\r\n\0\x0b\x1b\x7f\u{85}\u{a0}\u{2028}\u{3000}", Problem::WhiteSpace),
        ("éüß漢🙂\u{ad}\u{430}\u{200b}", Problem::NotAscii),
    ] {
        for letter in letters.chars() {
            for at in 0..=whole.len() {
                let url = format!("{}{letter}{}", &whole[..at], &whole[at..]);
                assert_eq!(problem(&url), Some(expected), "{url:?}");
                assert!(!EndPoint::check(&url).unwrap_err().to_string().contains(['\r', '\n', '\x1b']));
            }
        }
    }
}

#[test]
fn no_text_shows_a_secret() {
    let users =
        ["secret", "secret:", "u:secret", "u:sec:secret", ":secret", "u:secret/x", "u:secret?x", "a@secret"];
    for scheme in ["http", "https", "ftp", ""] {
        for user in users {
            for rest in ["h/", "h:99999/", "", "h/?token=secret", "h/#secret", "h:/x?secret#secret"] {
                for url in [format!("{scheme}://{user}@{rest}"), format!("{user}@{rest}")] {
                    let error = EndPoint::check(&url).unwrap_err();
                    let as_dispatch_error = DispatchError::from(error.clone());
                    for text in [error.to_string(), format!("{error:?}"), as_dispatch_error.to_string()] {
                        assert!(!text.contains("secret"), "{url}: {text}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_text_names_the_url_and_fits_in_a_line() {
    assert_eq!(
        EndPoint::check("http://relay:99999/v1/events").unwrap_err().to_string(),
        "\"http://relay:99999/v1/events\" is no address for events: its port is no number from 1 to 65535; put that \
         right, or leave the colon out as well"
    );
    assert_eq!(EndPoint::check("ftp://u:p@h/x?y").unwrap_err().url(), "ftp://***@h/x?***");
    let endless = format!("ftp://h/{}", "é".repeat(URL_BYTES_MAX / 2));
    assert!(EndPoint::check(&endless).unwrap_err().url().len() <= SHOWN_BYTES_MAX + '…'.len_utf8());
}
