//! Refusals: the only file with status codes and their words (contract, section 4).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value as Json, json};

use crate::store::DbError;

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name, as the caller wrote it.
    pub field: String,
    /// What is wrong, with the limit.
    pub message: String,
}

/// Why a request is not answered as asked.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiError {
    // The caller's fault.
    /// 400: malformed, or a field is missing, mistyped or too long.
    Validation {
        /// One sentence about the whole.
        message: String,
        /// What is wrong with which field.
        details: Vec<FieldError>,
    },
    /// 400: a Stripe signature that does not hold.
    InvalidSignature(String),
    /// 401: missing, malformed, unknown, revoked, or of the wrong kind.
    InvalidApiKey(&'static str),
    /// 403: the key lacks the scope.
    Forbidden(String),
    /// 403: plain HTTP.
    HttpsRequired,
    /// 404.
    NotFound(&'static str),
    /// 404: a click on a link that does not exist or is archived.
    ReferralNotFound,
    /// 405; the router knows the methods.
    MethodNotAllowed,
    /// 409: this transaction was reported before.
    ConversionDuplicate {
        /// The first one's id.
        conversion_id: String,
    },
    /// 409: a transition that is not allowed.
    Conflict(String),
    /// 413.
    PayloadTooLarge {
        /// The limit in bytes.
        limit_bytes: usize,
    },
    /// 415.
    UnsupportedMediaType(&'static str),
    /// 422: nothing in the request says who is to be credited.
    NoAttributionSignal,
    /// 422: the click or code exists in the other mode only.
    ModeMismatch(String),
    /// 422: the same `Idempotency-Key`, and something else is asked.
    IdempotencyKeyReused,
    /// 429.
    RateLimitExceeded {
        /// Seconds until the window ends.
        retry_after_s: u32,
    },

    // Not now.
    /// 503: try again.
    Unavailable(String),

    // Ours.
    /// 500: the detail goes to the log only.
    Internal(String),
}

impl ApiError {
    /// A malformed request, in one sentence.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::Validation { message: message.into(), details: Vec::new() }
    }

    /// One wrong field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    /// Several wrong fields.
    pub fn fields(details: Vec<FieldError>) -> Self {
        let message = match details.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields are invalid; see details", many.len()),
        };
        Self::Validation { message, details }
    }

    fn parts(&self) -> (StatusCode, &'static str, String) {
        use StatusCode as S;
        match self {
            Self::Validation { message, .. } => (S::BAD_REQUEST, "VALIDATION_ERROR", message.clone()),
            Self::InvalidSignature(why) => (S::BAD_REQUEST, "INVALID_SIGNATURE", why.clone()),
            Self::InvalidApiKey(why) => (S::UNAUTHORIZED, "INVALID_API_KEY", (*why).to_owned()),
            Self::Forbidden(why) => (S::FORBIDDEN, "FORBIDDEN", why.clone()),
            Self::HttpsRequired => {
                (S::FORBIDDEN, "HTTPS_REQUIRED", "Use https: plain HTTP is answered on loopback only.".to_owned())
            }
            Self::NotFound(what) => (S::NOT_FOUND, "NOT_FOUND", format!("There is no such {what}.")),
            Self::ReferralNotFound => (
                S::NOT_FOUND,
                "REFERRAL_NOT_FOUND",
                "No active link has this ref in this workspace and mode.".to_owned(),
            ),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "This path does not take this method; see the Allow header.".to_owned(),
            ),
            Self::ConversionDuplicate { .. } => (
                S::CONFLICT,
                "CONVERSION_DUPLICATE",
                "This external_transaction_id is already recorded; conversion_id is the first one's.".to_owned(),
            ),
            Self::Conflict(why) => (S::CONFLICT, "CONFLICT", why.clone()),
            Self::PayloadTooLarge { limit_bytes } => {
                (S::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", format!("The body is over {limit_bytes} bytes."))
            }
            Self::UnsupportedMediaType(wanted) => {
                (S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", format!("Send the body as {wanted}."))
            }
            Self::NoAttributionSignal => (
                S::UNPROCESSABLE_ENTITY,
                "NO_ATTRIBUTION_SIGNAL",
                "Send click_id, promo_code, or the customer_external_id of a customer already credited to a partner."
                    .to_owned(),
            ),
            Self::ModeMismatch(why) => (S::UNPROCESSABLE_ENTITY, "MODE_MISMATCH", why.clone()),
            Self::IdempotencyKeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "IDEMPOTENCY_KEY_REUSED",
                "This Idempotency-Key came with another body within 24 hours; take a new key for a new request."
                    .to_owned(),
            ),
            Self::RateLimitExceeded { retry_after_s } => (
                S::TOO_MANY_REQUESTS,
                "RATE_LIMIT_EXCEEDED",
                format!("Too many requests in this minute; try again in {retry_after_s} s."),
            ),
            Self::Unavailable(_) => {
                (S::SERVICE_UNAVAILABLE, "UNAVAILABLE", "Not available right now; try again shortly.".to_owned())
            }
            Self::Internal(_) => (
                S::INTERNAL_SERVER_ERROR,
                "INTERNAL_ERROR",
                "Something failed on our side; the request id finds it in our log.".to_owned(),
            ),
        }
    }

    /// What it says to people.
    pub fn message(&self) -> String {
        self.parts().2
    }

    /// The status of its answer.
    pub fn status(&self) -> StatusCode {
        self.parts().0
    }

    /// What belongs into the log and never into an answer.
    pub fn log_detail(&self) -> Option<&str> {
        match self {
            Self::Unavailable(detail) | Self::Internal(detail) => Some(detail),
            _ => None,
        }
    }

    /// The answer to the caller.
    pub fn render(&self, request_id: &str) -> Response {
        let (_, code, message) = self.parts();
        let mut error = json!({ "code": code, "message": message, "request_id": request_id });
        self.add_details(&mut error);
        self.answer(&json!({ "error": error }))
    }

    /// The same on Traaaction's surface, whose clients look for `success`, and for a sentence as the error.
    pub fn render_tracked(&self, request_id: &str) -> Response {
        let (_, code, mut message) = self.parts();
        if matches!(self, Self::NoAttributionSignal) {
            // The fields have other names there.
            "Send clickId, or the customerExternalId of a customer already credited to a partner."
                .clone_into(&mut message);
        }
        let mut body = json!({ "success": false, "error": message, "code": code, "request_id": request_id });
        self.add_details(&mut body);
        self.answer(&body)
    }

    fn add_details(&self, error: &mut Json) {
        match self {
            Self::Validation { details, .. } if !details.is_empty() => {
                error["details"] = details
                    .iter()
                    .map(|detail| json!({ "field": detail.field, "message": detail.message }))
                    .collect::<Vec<Json>>()
                    .into();
            }
            Self::ConversionDuplicate { conversion_id } => error["conversion_id"] = json!(conversion_id),
            _ => {}
        }
    }

    fn answer(&self, body: &Json) -> Response {
        let mut response = crate::call::json(self.status(), body);
        let retry_after_s = match self {
            Self::RateLimitExceeded { retry_after_s } => Some(*retry_after_s),
            Self::Unavailable(_) => Some(1),
            _ => None,
        };
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::InvalidApiKey(_)) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Carried as an extension: [`crate::app`] renders it, because only there is the request id at hand.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = self.parts().0;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Failed(_) => Self::Unavailable(error.to_string()),
            DbError::Constraint(_) | DbError::Row { .. } => Self::Internal(error.to_string()),
        }
    }
}
