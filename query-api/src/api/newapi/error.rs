//! What can go wrong in this dialect, and the one function that turns it into a response.

use tokio::time::error::Elapsed;
use warp::Reply;
use warp::http::StatusCode;
use warp::http::header::RETRY_AFTER;
use warp::reply::Response;

use super::dialect::{Dialect, Language, Stranger};
use super::envelope::{failure, openai_failure};
use super::filters;
use super::rules::Question;
use crate::api::app::{Blame, Failure};
use crate::api::query_string::NotUtf8;
use crate::auth::Forbidden;
use crate::store::{DeletionError, StoreError};

/// A request cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Its caller is not let in.
    #[error("caller is refused")]
    Refused(#[from] Refusal),
    /// The same, where OpenAI's clients ask.
    #[error("caller is refused")]
    RefusedAsOpenAi(#[source] Refusal),
    /// 429: its client has sent too many.
    #[error("too many requests")]
    TooMany {
        /// In so many seconds it may come again: 1 and up.
        retry_after_s: u64,
    },
    /// What is asked for is not understood.
    #[error(transparent)]
    Filters(#[from] filters::Refused),
    /// The same of its letters.
    #[error(transparent)]
    NotUtf8(#[from] NotUtf8),
    /// What is asked for is not there, or is not said.
    #[error("request is refused")]
    Unfit(#[from] Unfit),
    /// Logs cannot be removed.
    #[error("logs cannot be removed")]
    Deletion(#[from] DeletionError),
    /// ClickHouse is not there, or it is our mistake.
    #[error("logs cannot be read")]
    Store(#[from] StoreError),
    /// It takes too long.
    #[error("time is up")]
    TimedOut(#[from] Elapsed),
}

/// What is the matter with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// It is not said how old logs are that are to go.
    #[error("target timestamp is required")]
    NoTarget,
    /// There is no such task.
    #[error("task not found")]
    NoTask,
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// No access token was shown.
    #[error("no access token")]
    NoToken,
    /// It is none of ours.
    #[error("unknown access token")]
    UnknownToken,
    /// It was not said whose it is.
    #[error("no user is named")]
    NoUser,
    /// What names a user is no number.
    #[error("what names the user is no number")]
    NotAUser,
    /// It is somebody else's.
    #[error("another user is named")]
    OtherUser,
    /// The user is disabled.
    #[error("user is disabled")]
    Disabled,
    /// The user is not what it takes.
    #[error("user may not do this")]
    Unprivileged,
    /// No relay key was shown.
    #[error("no relay key")]
    NoKey,
    /// It is none of ours.
    #[error("unknown relay key")]
    UnknownKey,
    /// It is disabled.
    #[error("relay key is disabled")]
    DisabledKey,
    /// It is of a user who is.
    #[error("user of the relay key is disabled")]
    DisabledOwner,
    /// The header with it has no scheme.
    #[error("not a bearer token")]
    NotBearer,
    /// Nobody can say: a directory cannot be read.
    #[error("users and keys cannot be looked up")]
    Unavailable,
}

/// A message in the languages that there are.
#[derive(Clone, Copy, Debug)]
struct Message {
    chinese: &'static str,
    english: &'static str,
}

/// How a refusal is told.
struct Telling {
    /// By versions that have no codes.
    status: StatusCode,
    /// By those that have.
    coded: (StatusCode, Option<&'static str>),
    message: Message,
}

const OK: StatusCode = StatusCode::OK;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

const UNKNOWN: Option<&str> = Some("AUTH_UNAUTHORIZED");
const BANNED: Message = Message { chinese: "用户已被封禁", english: "User has been banned" };
const DATABASE: Message = Message {
    chinese: "数据库出错，请联系管理员",
    english: "Database error, please contact the administrator",
};
/// What is summed up by hour has a bound, and nothing else.
const TOO_LONG: Message = Message {
    chinese: "数据过多，请缩小时间范围",
    english: "Too much data, please narrow the time range",
};
/// What is documented of all relay keys that are not let in.
const NOT_A_KEY: &str = "Token不存在或无权限";

impl Message {
    /// Its text.
    const fn text(self, language: Language) -> &'static str {
        match language {
            Language::Chinese => self.chinese,
            Language::English => self.english,
        }
    }
}

impl Refusal {
    /// Whether it is about a relay key.
    const fn is_of_key(self) -> bool {
        matches!(self, Self::NoKey | Self::UnknownKey | Self::DisabledKey | Self::DisabledOwner)
    }

    fn telling(self) -> Telling {
        let told = |status, coded, chinese, english| Telling {
            status,
            coded,
            message: Message { chinese, english },
        };
        let unknown = (UNAUTHORIZED, UNKNOWN);
        match self {
            Self::NoToken => told(
                UNAUTHORIZED,
                unknown,
                "无权进行此操作，未登录且未提供 access token",
                "Unauthorized, not logged in and no access token provided",
            ),
            Self::UnknownToken => {
                let chinese = "无权进行此操作，access token 无效";
                told(OK, unknown, chinese, "Unauthorized, invalid access token")
            }
            Self::NoUser => {
                let chinese = "无权进行此操作，未提供 New-Api-User";
                told(UNAUTHORIZED, unknown, chinese, "Unauthorized, New-Api-User header not provided")
            }
            Self::NotAUser => {
                let chinese = "无权进行此操作，New-Api-User 格式错误";
                told(UNAUTHORIZED, unknown, chinese, "Unauthorized, New-Api-User header format error")
            }
            Self::OtherUser => told(
                UNAUTHORIZED,
                unknown,
                "无权进行此操作，New-Api-User 与登录用户不匹配",
                "Unauthorized, New-Api-User does not match logged in user",
            ),
            Self::Disabled => {
                let coded = (UNAUTHORIZED, Some("AUTH_USER_DISABLED"));
                Telling { status: OK, coded, message: BANNED }
            }
            Self::Unprivileged => {
                let coded = (FORBIDDEN, Some("AUTH_INSUFFICIENT_PRIVILEGE"));
                told(OK, coded, "无权进行此操作，权限不足", "Unauthorized, insufficient privileges")
            }
            Self::NoKey => told(UNAUTHORIZED, (UNAUTHORIZED, None), "未提供令牌", "Token not provided"),
            Self::UnknownKey => told(UNAUTHORIZED, (UNAUTHORIZED, None), "无效的令牌", "Invalid token"),
            Self::DisabledKey => {
                let english = "This token status is unavailable";
                told(UNAUTHORIZED, (UNAUTHORIZED, None), "该令牌状态不可用", english)
            }
            Self::NotBearer => {
                let message = "Invalid Bearer token";
                told(UNAUTHORIZED, (UNAUTHORIZED, None), message, message)
            }
            Self::DisabledOwner => Telling { status: FORBIDDEN, coded: (FORBIDDEN, None), message: BANNED },
            Self::Unavailable => {
                let coded = (FAILED, Some("AUTH_INTERNAL_ERROR"));
                Telling { status: FAILED, coded, message: DATABASE }
            }
        }
    }

    fn into_response(self, dialect: Dialect, language: Language) -> Response {
        if self.is_of_key() && dialect.stranger() == Stranger::IsRefused {
            return failure(OK, None, NOT_A_KEY);
        }
        // Where there are codes, nothing and what is unknown are one.
        let refusal = if self == Self::NoToken && dialect.tells_codes() { Self::UnknownToken } else { self };
        let Telling { status, coded, message } = refusal.telling();
        let (status, code) = if dialect.tells_codes() { coded } else { (status, None) };
        failure(status, code, message.text(language))
    }
}

impl From<Forbidden> for Error {
    /// There is one way to say no, whether it is about a place or about a deed.
    fn from(_: Forbidden) -> Self {
        Self::Refused(Refusal::Unprivileged)
    }
}

impl Failure for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Refused(Refusal::Unavailable)
            | Self::RefusedAsOpenAi(Refusal::Unavailable)
            | Self::TimedOut(_) => Blame::Surroundings,
            Self::Refused(_)
            | Self::RefusedAsOpenAi(_)
            | Self::TooMany { .. }
            | Self::Filters(_)
            | Self::NotUtf8(_)
            | Self::Unfit(_)
            | Self::Store(StoreError::TooLong(_)) => Blame::Client,
            Self::Deletion(DeletionError::NoRights(_)) => Blame::Program,
            Self::Deletion(DeletionError::Store(error)) if !error.is_retryable() => Blame::Program,
            Self::Deletion(_) => Blame::Surroundings,
            Self::Store(error) if error.is_retryable() => Blame::Surroundings,
            Self::Store(_) => Blame::Program,
        }
    }
}

impl Error {
    /// The response to this question, which tells nothing of what is behind this process. Where new-api itself fails it is a 200,
    /// and clients look at what it says.
    pub(super) fn into_response(self, dialect: Dialect, language: Language, question: Question) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(dialect, language),
            Self::RefusedAsOpenAi(refusal) => {
                let Telling { coded: (status, _), message, .. } = refusal.telling();
                openai_failure(status, "new_api_error", message.text(language))
            }
            Self::TooMany { retry_after_s } => {
                let mut response = StatusCode::TOO_MANY_REQUESTS.into_response();
                response.headers_mut().insert(RETRY_AFTER, retry_after_s.into());
                response
            }
            Self::Filters(_) | Self::NotUtf8(_) => failure(OK, None, &self.to_string()),
            Self::Unfit(unfit @ Unfit::NoTarget) => failure(OK, None, &unfit.to_string()),
            Self::Unfit(unfit @ Unfit::NoTask) => failure(StatusCode::NOT_FOUND, None, &unfit.to_string()),
            Self::Store(StoreError::TooLong(_)) => failure(OK, None, TOO_LONG.text(language)),
            Self::Store(_) | Self::Deletion(_) | Self::TimedOut(_) => {
                let regret = dialect.regret(question).unwrap_or_else(|| DATABASE.text(language));
                match question.openai_type() {
                    Some(r#type) => openai_failure(OK, r#type, regret),
                    None => failure(OK, None, regret),
                }
            }
        }
    }
}
