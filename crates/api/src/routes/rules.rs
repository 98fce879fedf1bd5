//! Detection rules: a tenant's, and those that the operator keeps for all tenants of the region.

use access::{GrantedCell, ManageRules, Operate};
use axum::http::StatusCode;
use cell::RuleView;
use model::{Code, DetectionRuleId};

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::failure::Failure;
use crate::page::Page;
use crate::wire;

/// List the rules that examine a tenant's rows: shipped, the cell's, and its own.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/rules", tag = "rules",
    params(("tenant" = String, Path, description = "The tenant's id."), wire::PageQuery),
    responses((status = 200, description = "A page of rules, by id.", body = wire::RulePage))
)]
pub(crate) async fn list(call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageRules>().await?;
    let list = format!("rules/{}", grant.tenant());
    let page = Page::of(call.cell(), list, &call.query()?)?;
    let rules = call.cell().rules(&grant);
    let (rules, next_page_token) = page.cut(rules, |r| r.id.as_str().as_bytes().to_vec());
    json(&wire::RulePage {
        rules: rules.iter().map(|r| convert::rule(r, false)).collect(),
        next_page_token,
    })
}

/// Show one rule with its text.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/rules/{rule}", tag = "rules",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("rule" = String, Path, description = "The rule's id."),
    ),
    responses((status = 200, description = "The rule.", body = wire::Rule))
)]
pub(crate) async fn show(call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageRules>().await?;
    let id: DetectionRuleId = call.path_id("rule")?;
    let rules = call.cell().rules(&grant);
    let rule = rules.iter().find(|r: &&RuleView| r.id == id);
    json(&convert::rule(
        rule.ok_or_else(|| Failure::of(Code::NotFound))?,
        true,
    ))
}

/// Add a rule of the tenant, or put it in place of the one with its id.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/rules", tag = "rules",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    request_body = wire::RuleText,
    responses((status = 201, description = "The rule.", body = wire::Rule))
)]
pub(crate) async fn add(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageRules>().await?;
    let rule: wire::RuleText = call.json().await?;
    let view = call
        .cell()
        .put_rule(&grant, rule.text, rule.enabled)
        .await?;
    let mut response = json(&convert::rule(&view, true))?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Switch a rule on or off for the tenant.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/rules/{rule}", tag = "rules",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("rule" = String, Path, description = "The rule's id."),
    ),
    request_body = wire::RuleSwitch,
    responses((status = 200, description = "The rule as it is now.", body = wire::Rule))
)]
pub(crate) async fn switch(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageRules>().await?;
    let id: DetectionRuleId = call.path_id("rule")?;
    let switch: wire::RuleSwitch = call.json().await?;
    let view = call.cell().switch_rule(&grant, &id, switch.enabled).await?;
    json(&convert::rule(&view, false))
}

/// Say what is wrong with a rule's text. Nothing is stored.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/rules/check", tag = "rules",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    request_body = wire::RuleDraft,
    responses((status = 200, description = "The problems.", body = wire::RuleProblems))
)]
pub(crate) async fn check(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageRules>().await?;
    let draft: wire::RuleDraft = call.json().await?;
    let stop = call.cancel.clone();
    let problems = call.cell().check_rule(&grant, draft.text, stop).await?;
    said(problems)
}

fn said(problems: Vec<cell::RuleProblem>) -> Answer {
    json(&wire::RuleProblems {
        problems: problems.into_iter().map(convert::problem).collect(),
    })
}

/// List the rules for all tenants of the region: shipped, and the operator's.
#[utoipa::path(
    get, path = "/api/v1/rules", tag = "rules", params(wire::PageQuery),
    responses((status = 200, description = "A page of rules, by id.", body = wire::RulePage))
)]
pub(crate) async fn list_shared(call: Call) -> Answer {
    let grant = call.cell_grant::<Operate>().await?;
    let page = Page::of(call.cell(), "rules".to_owned(), &call.query()?)?;
    let rules = call.cell().cell_rules(&grant);
    let (rules, next_page_token) = page.cut(rules, |r| r.id.as_str().as_bytes().to_vec());
    json(&wire::RulePage {
        rules: rules.iter().map(|r| convert::rule(r, false)).collect(),
        next_page_token,
    })
}

/// Show one rule for all tenants with its text.
#[utoipa::path(
    get, path = "/api/v1/rules/{rule}", tag = "rules",
    params(("rule" = String, Path, description = "The rule's id.")),
    responses((status = 200, description = "The rule.", body = wire::Rule))
)]
pub(crate) async fn show_shared(call: Call) -> Answer {
    let grant = call.cell_grant::<Operate>().await?;
    let id: DetectionRuleId = call.path_id("rule")?;
    let rules = call.cell().cell_rules(&grant);
    let rule = rules.iter().find(|r: &&RuleView| r.id == id);
    json(&convert::rule(
        rule.ok_or_else(|| Failure::of(Code::NotFound))?,
        true,
    ))
}

/// Add a rule for all tenants of the region, or put it in place of the one with its id, a shipped one
/// included.
#[utoipa::path(
    post, path = "/api/v1/rules", tag = "rules",
    request_body = wire::RuleText,
    responses((status = 201, description = "The rule.", body = wire::Rule))
)]
pub(crate) async fn add_shared(mut call: Call) -> Answer {
    let grant: GrantedCell<Operate> = call.cell_grant().await?;
    let rule: wire::RuleText = call.json().await?;
    let added = call.cell().put_cell_rule(&grant, rule.text, rule.enabled);
    let mut response = json(&convert::rule(&added.await?, true))?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Switch a rule on or off for all tenants that have none of their own in its place.
#[utoipa::path(
    patch, path = "/api/v1/rules/{rule}", tag = "rules",
    params(("rule" = String, Path, description = "The rule's id.")),
    request_body = wire::RuleSwitch,
    responses((status = 200, description = "The rule as it is now.", body = wire::Rule))
)]
pub(crate) async fn switch_shared(mut call: Call) -> Answer {
    let grant: GrantedCell<Operate> = call.cell_grant().await?;
    let id: DetectionRuleId = call.path_id("rule")?;
    let switch: wire::RuleSwitch = call.json().await?;
    let switched = call.cell().switch_cell_rule(&grant, &id, switch.enabled);
    json(&convert::rule(&switched.await?, false))
}

/// Say what is wrong with a rule's text. Nothing is stored.
#[utoipa::path(
    post, path = "/api/v1/rules/check", tag = "rules",
    request_body = wire::RuleDraft,
    responses((status = 200, description = "The problems.", body = wire::RuleProblems))
)]
pub(crate) async fn check_shared(mut call: Call) -> Answer {
    let grant: GrantedCell<Operate> = call.cell_grant().await?;
    let draft: wire::RuleDraft = call.json().await?;
    let (cell, stop) = (call.cell(), call.cancel.clone());
    said(cell.check_cell_rule(&grant, draft.text, stop).await?)
}
