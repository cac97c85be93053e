//! What kinds of problems there are: the one table of their codes and of how bad each is.
//!
//! Programs tell problems apart by the code, which stays when the words change. Whether a kind is an error decides what
//! is counted as good, so that it is said here and nowhere else.
//!
//! Invariant: nothing that the API counts is an error.

use std::fmt;

use serde::{Serialize, Serializer};

use super::about::{About, across, body, datafile, envelope, event};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "one more is a change for whoever counts what is good")]
pub enum Severity {
    /// The API drops the event, or misreads it.
    Error,
    /// The API counts the event, but otherwise than its sender may think.
    Warning,
}

impl Severity {
    /// `error` or `warning`, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! kinds {
    ($(#[doc = $title:literal] $kind:ident = $code:literal $severity:ident, $about:path;)*) => {
        /// What kind of problem it is.
        ///
        /// ```
        /// use posthaste::judge::{ProblemKind, Severity};
        ///
        /// let kind = ProblemKind::from_code("timestamp-in-seconds").unwrap();
        /// assert_eq!((kind.code(), kind.severity()), ("timestamp-in-seconds", Severity::Error));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $(#[doc = $title] $kind,)*
        }

        impl ProblemKind {
            /// All that there are, from the body as a whole to what shows across bodies only.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// A stable name, in lower case with hyphens.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)*
                }
            }

            /// How bad it is: the same for all problems of a kind.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$kind => Severity::$severity,)*
                }
            }

            /// What there is to say of it, as in docs/PROBLEMS.md.
            pub fn about(self) -> &'static About {
                match self {
                    $(Self::$kind => &$about,)*
                }
            }

            /// What it is, in a sentence.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title.trim_ascii(),)*
                }
            }
        }
    };
}

kinds! {
    /// The body is empty.
    BodyEmpty = "body-empty" Error, body::EMPTY;
    /// The body is called gzip and is none, or not whole.
    NotGzip = "not-gzip" Error, body::NOT_GZIP;
    /// The body is not in UTF-8.
    NotUtf8 = "not-utf8" Error, body::NOT_UTF8;
    /// The body is not JSON.
    NotJson = "not-json" Error, body::NOT_JSON;
    /// The body ends in the middle.
    CutShort = "cut-short" Error, body::CUT_SHORT;
    /// A number is `NaN` or infinite, which JSON does not have.
    NumberNotFinite = "number-not-finite" Error, body::NUMBER_NOT_FINITE;
    /// A value is nested deeper than readers follow.
    NestedTooDeep = "nested-too-deep" Error, body::NESTED_TOO_DEEP;
    /// The body takes more memory than the collector gives one.
    BodyTooLarge = "body-too-large" Error, body::TOO_LARGE;
    /// The body holds more events than one may.
    TooManyEvents = "too-many-events" Error, body::TOO_MANY_EVENTS;
    /// The body is no object with a list of visitors.
    NotABatch = "not-a-batch" Error, body::NOT_A_BATCH;
    /// The body holds no events.
    NoEvents = "no-events" Error, body::NO_EVENTS;
    /// A list stands in one object twice.
    ListTwice = "list-twice" Error, body::LIST_TWICE;
    /// Something else stands where an object belongs.
    NotAnObject = "not-an-object" Error, body::NOT_AN_OBJECT;
    /// Something else stands where a list belongs.
    NotAList = "not-a-list" Error, body::NOT_A_LIST;
    /// Something else stands where a text belongs.
    NotAString = "not-a-string" Error, body::NOT_A_STRING;
    /// Something else stands where `true` or `false` belongs.
    NotABoolean = "not-a-boolean" Error, body::NOT_A_BOOLEAN;
    /// There is no account id, or an empty one.
    AccountIdMissing = "account-id-missing" Error, envelope::ACCOUNT_ID_MISSING;
    /// The project id is empty.
    ProjectIdEmpty = "project-id-empty" Error, envelope::PROJECT_ID_EMPTY;
    /// The account is not the datafile's.
    AccountNotInDatafile = "account-not-in-datafile" Error, datafile::ACCOUNT;
    /// The project is not the datafile's.
    ProjectNotInDatafile = "project-not-in-datafile" Error, datafile::PROJECT;
    /// The visitor has no id.
    VisitorIdMissing = "visitor-id-missing" Error, envelope::VISITOR_ID_MISSING;
    /// An attribute has no type.
    AttributeTypeMissing = "attribute-type-missing" Error, envelope::ATTRIBUTE_TYPE_MISSING;
    /// A custom attribute has no id, or no key.
    AttributeNameMissing = "attribute-name-missing" Error, envelope::ATTRIBUTE_NAME_MISSING;
    /// An attribute's value is no text, number or boolean.
    AttributeValueUnusable = "attribute-value-unusable" Error, envelope::ATTRIBUTE_VALUE_UNUSABLE;
    /// A custom attribute is not in the datafile.
    AttributeUnknown = "attribute-unknown" Warning, datafile::ATTRIBUTE;
    /// The user agent is a bot's, and the project leaves bots out.
    UserAgentOfABot = "user-agent-of-a-bot" Warning, envelope::USER_AGENT_OF_A_BOT;
    /// The event has no uuid.
    UuidMissing = "uuid-missing" Error, event::UUID_MISSING;
    /// The timestamp is no integer.
    TimestampNotAnInteger = "timestamp-not-an-integer" Error, event::TIMESTAMP_NOT_AN_INTEGER;
    /// The timestamp is in seconds.
    TimestampInSeconds = "timestamp-in-seconds" Error, event::TIMESTAMP_IN_SECONDS;
    /// The timestamp is not in milliseconds.
    TimestampNotMilliseconds = "timestamp-not-milliseconds" Error, event::TIMESTAMP_NOT_MILLISECONDS;
    /// The timestamp is in the future.
    TimestampInTheFuture = "timestamp-in-the-future" Warning, event::TIMESTAMP_IN_THE_FUTURE;
    /// The tags are no object.
    TagsNotAnObject = "tags-not-an-object" Error, event::TAGS_NOT_AN_OBJECT;
    /// The event's own revenue is no integer.
    RevenueFieldNotAnInteger = "revenue-field-not-an-integer" Error, event::REVENUE_FIELD;
    /// The event's own value is no number.
    ValueFieldNotANumber = "value-field-not-a-number" Error, event::VALUE_FIELD;
    /// The revenue among the tags is no integer.
    RevenueNotAnInteger = "revenue-not-an-integer" Warning, event::REVENUE_TAG;
    /// The value among the tags is no number.
    ValueNotANumber = "value-not-a-number" Warning, event::VALUE_TAG;
    /// The impression is of no decision of its snapshot.
    ImpressionWithoutDecision = "impression-without-decision" Error, event::WITHOUT_DECISION;
    /// The id of a variation is no string of digits.
    VariationIdNotDigits = "variation-id-not-digits" Warning, event::VARIATION_ID_NOT_DIGITS;
    /// The datafile has no such campaign.
    CampaignUnknown = "campaign-unknown" Error, datafile::CAMPAIGN;
    /// The campaign is not the experiment's.
    CampaignOfAnotherExperiment = "campaign-of-another-experiment" Error, datafile::CAMPAIGN_OF_ANOTHER;
    /// The datafile has no such experiment.
    ExperimentUnknown = "experiment-unknown" Error, datafile::EXPERIMENT;
    /// The datafile has no such variation.
    VariationUnknown = "variation-unknown" Error, datafile::VARIATION;
    /// The variation is another experiment's.
    VariationOfAnotherExperiment = "variation-of-another-experiment" Error, datafile::VARIATION_OF_ANOTHER;
    /// The datafile has no such event.
    EventUnknown = "event-unknown" Error, datafile::EVENT;
    /// The event has another key in the datafile.
    EventKeyWrong = "event-key-wrong" Error, datafile::EVENT_KEY;
    /// A conversion is earlier than each decision that might explain it.
    ConversionBeforeDecision = "conversion-before-decision" Warning, across::CONVERSION_BEFORE_DECISION;
    /// A visitor is in two variations of one experiment.
    VisitorInTwoVariations = "visitor-in-two-variations" Warning, across::VISITOR_IN_TWO_VARIATIONS;
}

impl ProblemKind {
    /// The kind of this code, if there is one.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for ProblemKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_one_kinds_and_in_lower_case_with_hyphens() {
        for &kind in ProblemKind::ALL {
            assert_eq!(ProblemKind::from_code(kind.code()), Some(kind), "a code is there twice");
            let words = kind.code().split('-').all(|word| {
                !word.is_empty()
                    && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            });
            assert!(words, "{kind}");
        }
        assert_eq!(ProblemKind::from_code("Timestamp-In-Seconds"), None);
    }
}
