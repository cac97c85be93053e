//! The HTTP dispatcher over real sockets: what it sends, and what becomes of events when connections misbehave.

use std::{io::Read, net::TcpListener, time::Duration};

use posthaste::{
    Batch, BatchEventProcessor, Dispatcher, HttpEventDispatcher, LogEvent, Strict,
    dispatch::{Answer, DispatchError, EndPoint, HttpSetupError, RetryAfter, Share},
};

use crate::{
    server::{OK, Received, Reply, Server},
    support::{HOUR, impressions, larkspur, uuids_of},
};

const TIMEOUT: Duration = Duration::from_millis(200);

fn dispatcher() -> HttpEventDispatcher {
    HttpEventDispatcher::builder().request_timeout(TIMEOUT).build().unwrap()
}

pub(crate) fn request(url: &str) -> LogEvent {
    LogEvent::new(url, &Batch::from_user_events(&impressions(&larkspur(), 10)))
}

/// One runtime for all: connections live as long as the runtime that made them.
pub(crate) fn dispatch_all(dispatcher: &HttpEventDispatcher, requests: Vec<LogEvent>) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(dispatcher.dispatch_event(request).await);
        }
        answers
    })
}

#[test]
fn a_request_is_what_the_official_sdks_send() {
    let server = Server::start([]);
    let event = request(&server.url());
    let answers = dispatch_all(&dispatcher(), vec![event.clone()]);
    assert_eq!(answers[0].as_ref().unwrap().status, 204);
    let [received] = &server.received()[..] else { panic!("one request") };
    assert!(received.head.starts_with("POST /v1/events HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("accept"), Some("application/json"));
    assert_eq!(received.header("content-length").unwrap(), event.body().len().to_string());
    assert_eq!((received.header("x-optimizely-strict"), received.header("content-encoding")), (None, None));
    assert!(received.header("user-agent").unwrap().starts_with("posthaste/"));
    assert_eq!(received.body, event.body().to_vec());
}

/// The seed makes a new client for each request.
#[test]
fn requests_share_a_connection() {
    let server = Server::start([]);
    let answers = dispatch_all(&dispatcher(), (0..20).map(|_| request(&server.url())).collect());
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status == 204));
    assert!(server.received().iter().all(|received| received.connection == 0));
}

/// Addresses change: a connection that is too old is used no more, so that the next one looks its host up anew.
#[test]
fn connections_are_used_no_longer_than_they_may_be() {
    let server = Server::start([OK, OK, OK]);
    let dispatcher = HttpEventDispatcher::builder().connection_age_max(Duration::ZERO).build().unwrap();
    let answers = dispatch_all(&dispatcher, vec![request(&server.url()); 3]);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(response) if response.status == 204)));
    let connections: Vec<usize> = server.received().iter().map(|received| received.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
}

#[test]
fn answers_carry_what_the_verdict_needs() {
    let server = Server::start([
        Reply::Status(503, "retry-after: 17\r\n", ""),
        Reply::Status(429, "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "slow down"),
        Reply::Status(400, "", "visitors[3] is bad"),
        Reply::Status(301, "location: http://elsewhere.invalid/\r\n", ""),
        OK,
    ]);
    let answers = dispatch_all(&dispatcher(), vec![request(&server.url()); 5]);
    let answer = |at: usize| answers[at].clone().unwrap();
    assert_eq!(answer(0).retry_after, Some(RetryAfter::Delay(Duration::from_secs(17))));
    assert_eq!(
        (answer(1).retry_after, answer(1).text),
        (Some(RetryAfter::At(784_111_777_000)), "slow down".into())
    );
    assert_eq!((answer(2).status, answer(2).text), (400, "visitors[3] is bad".into()));
    assert_eq!(answer(3).status, 301, "redirects are not followed");
    assert_eq!(server.received().len(), 5);
}

#[test]
fn no_answer_is_told_apart_by_its_kind() {
    // Long enough for a busy machine, where no time-out is to be seen.
    let patient = HttpEventDispatcher::builder().request_timeout(HOUR).build().unwrap();
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let answers = dispatch_all(&patient, vec![request(&refused), request("http://no-such-host.invalid/")]);
    for (answer, place) in answers.iter().zip([&refused[7..refused.len() - 1], "no-such-host.invalid:80"]) {
        let Err(DispatchError::Connect(text)) = answer else { panic!("{answer:?}") };
        assert!(text.starts_with(&format!("{place}: ")), "{text}");
    }
    for reply in [Reply::ResetInBody, Reply::CloseUnanswered, Reply::Garbage] {
        let server = Server::start([reply]);
        let answer = dispatch_all(&patient, vec![request(&server.url())]).remove(0);
        let Err(DispatchError::Lost(text)) = answer else { panic!("{reply:?}: {answer:?}") };
        assert!(text.starts_with(&format!("{}: ", server.address)), "{text}");
    }
    let server = Server::start([Reply::Silence]);
    let answer = dispatch_all(&dispatcher(), vec![request(&server.url())]).remove(0);
    assert_eq!(answer, Err(DispatchError::TimedOut(TIMEOUT)));
    // Encrypted talk to a server of plain text.
    let server = Server::start([]);
    let url = server.url().replace("http:", "https:");
    let answer = dispatch_all(&dispatcher(), vec![request(&url)]).remove(0);
    assert!(matches!(answer, Err(DispatchError::Connect(_) | DispatchError::TimedOut(_))), "{answer:?}");
}

#[test]
fn an_address_that_is_none_says_so() {
    let server = Server::start([]);
    for (url, named) in [
        ("", ""),
        ("logx.optimizely.com", "logx.optimizely.com"),
        ("http:// x/", "http:// x/"),
        ("http://h:99999/", "http://h:99999/"),
        ("http://me:secret@h/", "http://***@h/"),
    ] {
        // A good one before and after: what was checked last is remembered.
        let requests = [&*server.url(), url, &server.url()].map(request).to_vec();
        let [before, answer, after] = &dispatch_all(&dispatcher(), requests)[..] else { panic!("three") };
        let error = EndPoint::check(url).unwrap_err();
        assert_eq!(error.url(), named);
        assert_eq!(answer.as_ref().unwrap_err(), &DispatchError::from(error));
        assert!(before.is_ok() && after.is_ok());
    }
}

#[test]
fn nothing_shows_the_credentials_that_requests_carry() {
    let builder = HttpEventDispatcher::builder()
        .header("authorization", "Bearer secret")
        .proxy("http://me:secret@127.0.0.1:1");
    let builder_text = format!("{builder:?}");
    let dispatcher = builder.build().unwrap();
    let answer = dispatch_all(&dispatcher, vec![request("http://h/?token=secret")]).remove(0);
    for text in [builder_text, format!("{dispatcher:?}"), format!("{answer:?}")] {
        assert!(!text.contains("secret"), "{text}");
        assert!(!text.contains("bWU6c2VjcmV0"), "{text}");
    }
}

#[test]
fn strictness_is_asked_for_never_always_or_now_and_then() {
    for (strict, share) in [
        (Strict::Off, 0.0..=0.0),
        (Strict::On, 1.0..=1.0),
        (Strict::Sampled(Share::new(0.5).unwrap()), 0.2..=0.8),
    ] {
        let server = Server::start([]);
        let dispatcher = HttpEventDispatcher::builder().strict(strict).build().unwrap();
        dispatch_all(&dispatcher, vec![request(&server.url()); 100]);
        let strict_ones = server
            .received()
            .iter()
            .filter(|received| received.header("x-optimizely-strict") == Some("true"))
            .count();
        #[expect(clippy::cast_precision_loss, reason = "at most 100")]
        let found = strict_ones as f64 / 100.0;
        assert!(share.contains(&found), "{strict:?}: {found}");
    }
}

#[test]
fn bodies_are_compressed_where_that_was_asked_for() {
    let server = Server::start([]);
    let dispatcher =
        HttpEventDispatcher::builder().gzip(true).header("authorization", "Bearer t0ken").build().unwrap();
    let event = request(&server.url());
    let small = LogEvent::new(server.url(), &Batch::default());
    dispatch_all(&dispatcher, vec![event.clone(), small.clone()]);
    let received: Vec<Received> = server.received();
    assert_eq!(received[0].header("content-encoding"), Some("gzip"));
    assert_eq!(received[0].header("authorization"), Some("Bearer t0ken"));
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(&received[0].body[..]).read_to_end(&mut body).unwrap();
    assert_eq!(body, event.body().to_vec());
    assert!(received[0].body.len() < body.len() / 2);
    assert_eq!(
        (received[1].header("content-encoding"), received[1].body.clone()),
        (None, small.body().to_vec())
    );
    assert!(HttpEventDispatcher::builder().header("no good", "x").build().is_err());
}

/// The laws of the simulation, over real sockets that break in every way that virtual time cannot show.
#[test]
fn broken_connections_lose_no_event() {
    for round in 0..5_usize {
        let breakage = [
            Reply::ResetInBody,
            Reply::Continue,
            Reply::StatusThenClose(204),
            Reply::CloseUnanswered,
            Reply::Silence,
            Reply::Endless,
            Reply::Garbage,
            Reply::StatusThenClose(500),
            Reply::Status(500, "connection: close\r\n", "gone"),
        ];
        let server = Server::start(breakage.into_iter().cycle().skip(round).take(30));
        let processor = BatchEventProcessor::builder()
            .event_dispatcher(dispatcher())
            .event_end_point(server.url())
            .backoff(Duration::from_millis(1), Duration::from_millis(20))
            .build()
            .unwrap();
        let events = impressions(&larkspur(), 400);
        for event in events.clone() {
            processor.process_event(event).unwrap().forget();
        }
        let report = processor.close(HOUR).wait();
        assert_eq!((report.delivered, report.left), (400, 0), "round {round}");
        let mut arrived: Vec<String> = server
            .received()
            .iter()
            .filter_map(|received| serde_json::from_slice::<Batch>(&received.body).ok())
            .flat_map(|batch| batch.visitors)
            .map(|visitor| visitor.snapshots[0].events[0].uuid.clone())
            .collect();
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived, uuids_of(&events));
    }
}

#[test]
fn where_a_body_ends_is_not_for_callers_to_say() {
    for name in ["content-length", "Content-Length", "transfer-encoding"] {
        let error = HttpEventDispatcher::builder().header(name, "3").build().unwrap_err();
        assert!(matches!(&error, HttpSetupError::Framing(told) if told == name), "{error}");
    }
}
