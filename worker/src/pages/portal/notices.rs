//! What a partner was told, in both modes.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::ids;
use domain::partner::NoticeKind;

use super::{Asked, Entry, Frame, Pager, cut, decoded, enter, here, part_of};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::pages::text::Moment;
use crate::partner_side::words;
use crate::store::notices::{self as table, Notice};

#[derive(Template)]
#[template(path = "partner/notices.html")]
struct Notices {
    frame: Frame,
    notices: Vec<Shown>,
    pager: Pager,
}

struct Shown {
    at: Moment,
    program: String,
    text: String,
    /// Where more is to be read.
    href: Option<String>,
}

/// `GET /partner/notices`: of the partner whose place it is, in all programs of that workspace and mode.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let page = part_of::<ids::Notice>(request.uri())?;
    let place = portal.place()?;
    let rows = app.db.rows(table::list(&place.scope, place.partner_id.as_str(), None, &page)).await?;
    let found = decoded(Some(rows), table::decode)?;
    let part = cut(found, &page, portal.href("/notices")?, |notice| notice.id.as_str());
    super::show(&Notices {
        frame: portal.frame(request.uri(), "Notices", "/notices")?,
        notices: part.rows.into_iter().map(shown).collect(),
        pager: part.pager,
    })
}

fn shown(notice: Notice) -> Shown {
    let href = match notice.kind {
        NoticeKind::Earned | NoticeKind::Approved | NoticeKind::Rejected | NoticeKind::Reversed => {
            Some(format!("/partner/commissions/{}", notice.subject))
        }
        NoticeKind::Paid => Some(format!("/partner/statements/{}", notice.subject)),
        NoticeKind::Answered => Some(format!("/partner/questions?in={}#{}", notice.participant_id, notice.subject)),
        NoticeKind::Joined => Some(format!("/partner/links?in={}", notice.participant_id)),
        NoticeKind::Declined | NoticeKind::Suspended => None,
    };
    Shown { at: Moment::of(notice.created_at), text: words::notice(&notice), program: notice.program, href }
}
