//! The routes: one table that makes the router, the description and the list of who may.

use access::{
    AdministerTenant, Hunt, Ingest, Maintain, ManageIncidents, ManageRules, ManageSources,
    ManageTokens, ReadAudit, ReadEgress, ReadIncidents, ReadTenant, ResidencyRead, TenantAction,
};
use axum::Router;
use axum::extract::{Request, State};
use cell::Cell;
use model::Code;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, ResponseBuilder};

use crate::call::{Api, Call};
use crate::failure::Failure;
use crate::routes::{
    alerts, evidence, hunts, ingestion, open, registries, residence, rules, sources, tenants,
    tokens,
};
use crate::{ApiOptions, wire};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; it says nothing of any tenant.
    Open,
    /// A token of the tenant with this action of the policy; the tenant is the token's own.
    Own(&'static str),
    /// A token of the tenant in the path with this action of the policy, or who else may do it.
    Tenant(&'static str),
    /// An operator.
    Operator,
}

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Its name, the operation id of the description.
    pub name: &'static str,
    /// Its method, in capitals.
    pub method: &'static str,
    /// Its path, parameters in braces.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
}

macro_rules! routes {
    ($($method:ident $path:literal $access:expr => $module:ident::$handler:ident;)*) => {
        const ROUTES: &[Route] = &[$(
            Route {
                name: concat!(stringify!($module), "_", stringify!($handler)),
                method: upper(stringify!($method)),
                path: $path,
                access: $access,
            },
        )*];

        /// Every route goes through [`Api::answer`] and nothing else.
        fn registered(mut router: Router<Api>) -> Router<Api> {
            $(
                router = router.route($path, axum::routing::$method(
                    |State(api): State<Api>, request: Request| {
                        api.answer($path, request, $module::$handler)
                    },
                ));
            )*
            router
        }

        #[derive(utoipa::OpenApi)]
        #[openapi(
            info(
                title = "Bailiwick",
                version = "1",
                description = "Threat protection whose data stays in each tenant's geography. One listener is one region's cell.",
                license(name = "Apache-2.0", identifier = "Apache-2.0"),
            ),
            paths($($module::$handler),*),
            components(schemas(wire::Error)),
        )]
        struct Description;
    };
}

const fn own<A: TenantAction>() -> Access {
    Access::Own(A::NAME)
}

const fn tenant<A: TenantAction>() -> Access {
    Access::Tenant(A::NAME)
}

routes! {
    post "/api/v1/ingest" own::<Ingest>() => ingestion::ingest;
    post "/api/v1/hunt" own::<Hunt>() => hunts::hunt;
    post "/api/v1/hunt/check" own::<Hunt>() => hunts::check;
    post "/api/v1/hunt/complete" own::<Hunt>() => hunts::complete;
    post "/api/v1/hunt/format" own::<Hunt>() => hunts::format;
    get "/api/v1/tenants" Access::Operator => tenants::list;
    post "/api/v1/tenants" Access::Operator => tenants::provision;
    post "/api/v1/tenants/plan" Access::Operator => tenants::plan;
    get "/api/v1/tenants/{tenant}" tenant::<ReadTenant>() => tenants::show;
    post "/api/v1/tenants/{tenant}/correct" tenant::<AdministerTenant>() => tenants::correct;
    get "/api/v1/tenants/{tenant}/plan-newest" tenant::<ReadTenant>() => tenants::plan_newest;
    post "/api/v1/tenants/{tenant}/accept-registry" tenant::<AdministerTenant>() => tenants::accept_registry;
    patch "/api/v1/tenants/{tenant}/settings" tenant::<AdministerTenant>() => tenants::change_settings;
    post "/api/v1/tenants/{tenant}/flush" tenant::<Maintain>() => tenants::flush;
    get "/api/v1/tenants/{tenant}/sources" tenant::<ReadTenant>() => sources::list;
    post "/api/v1/tenants/{tenant}/sources" tenant::<ManageSources>() => sources::add;
    get "/api/v1/tenants/{tenant}/sources/{source}" tenant::<ReadTenant>() => sources::show;
    post "/api/v1/tenants/{tenant}/sources/{source}/disable" tenant::<ManageSources>() => sources::disable;
    post "/api/v1/tenants/{tenant}/sources/{source}/enable" tenant::<ManageSources>() => sources::enable;
    get "/api/v1/tenants/{tenant}/tokens" tenant::<ManageTokens>() => tokens::list;
    post "/api/v1/tenants/{tenant}/tokens" tenant::<ManageTokens>() => tokens::mint;
    delete "/api/v1/tenants/{tenant}/tokens/{token}" tenant::<ManageTokens>() => tokens::revoke;
    get "/api/v1/tenants/{tenant}/residency" tenant::<ResidencyRead>() => residence::report;
    get "/api/v1/tenants/{tenant}/residency/explain/{row_id}" tenant::<ResidencyRead>() => residence::explain;
    get "/api/v1/tenants/{tenant}/ledger" tenant::<ReadTenant>() => residence::ledger;
    get "/api/v1/tenants/{tenant}/alerts" tenant::<ReadIncidents>() => alerts::list;
    get "/api/v1/tenants/{tenant}/alerts/{alert}" tenant::<ReadIncidents>() => alerts::show;
    get "/api/v1/tenants/{tenant}/incidents" tenant::<ReadIncidents>() => alerts::incidents;
    get "/api/v1/tenants/{tenant}/incidents/{incident}" tenant::<ReadIncidents>() => alerts::incident;
    patch "/api/v1/tenants/{tenant}/incidents/{incident}" tenant::<ManageIncidents>() => alerts::change;
    get "/api/v1/tenants/{tenant}/incidents/{incident}/activity" tenant::<ReadIncidents>() => alerts::activity;
    get "/api/v1/tenants/{tenant}/rules" tenant::<ManageRules>() => rules::list;
    post "/api/v1/tenants/{tenant}/rules" tenant::<ManageRules>() => rules::add;
    post "/api/v1/tenants/{tenant}/rules/check" tenant::<ManageRules>() => rules::check;
    get "/api/v1/tenants/{tenant}/rules/{rule}" tenant::<ManageRules>() => rules::show;
    patch "/api/v1/tenants/{tenant}/rules/{rule}" tenant::<ManageRules>() => rules::switch;
    get "/api/v1/tenants/{tenant}/egress" tenant::<ReadEgress>() => evidence::egress;
    get "/api/v1/tenants/{tenant}/link" tenant::<ReadEgress>() => evidence::link;
    get "/api/v1/tenants/{tenant}/egress/{batch}" tenant::<ReadEgress>() => evidence::egress_of;
    get "/api/v1/tenants/{tenant}/audit" tenant::<ReadAudit>() => evidence::audit;
    get "/api/v1/tenants/{tenant}/files/{sha256}" tenant::<Hunt>() => evidence::file;
    get "/api/v1/tenants/{tenant}/devices/{device}" tenant::<ReadIncidents>() => evidence::device;
    get "/api/v1/tenants/{tenant}/users/{user}" tenant::<ReadIncidents>() => evidence::user;
    get "/api/v1/audit" Access::Operator => evidence::cell_audit;
    get "/api/v1/rules" Access::Operator => rules::list_shared;
    post "/api/v1/rules" Access::Operator => rules::add_shared;
    post "/api/v1/rules/check" Access::Operator => rules::check_shared;
    get "/api/v1/rules/{rule}" Access::Operator => rules::show_shared;
    patch "/api/v1/rules/{rule}" Access::Operator => rules::switch_shared;
    get "/api/v1/registry" Access::Operator => registries::show;
    post "/api/v1/registry" Access::Operator => registries::accept;
    get "/api/v1/region" Access::Open => open::region;
    get "/api/v1/openapi.json" Access::Open => open::openapi;
    get "/healthz" Access::Open => open::health;
    get "/metrics" Access::Operator => open::metrics;
}

/// The name of an axum method as HTTP spells it.
const fn upper(method: &'static str) -> &'static str {
    match method.as_bytes() {
        b"get" => "GET",
        b"post" => "POST",
        b"patch" => "PATCH",
        _ => "DELETE",
    }
}

/// All routes, in the order of the table.
pub fn routes() -> &'static [Route] {
    ROUTES
}

/// The service of one cell, for one listener.
pub fn router(cell: Cell, options: ApiOptions) -> Router {
    service(Api::new(cell, options))
}

/// The service of requests that `api` stands for.
pub(crate) fn service(api: Api) -> Router {
    let router = registered(Router::new())
        .fallback(|State(api): State<Api>, request: Request| {
            api.answer("none", request, async |_: Call| {
                Err(Failure::of(Code::NotFound))
            })
        })
        .method_not_allowed_fallback(|State(api): State<Api>, request: Request| {
            api.answer("none", request, async |_: Call| {
                Err(Failure::of(Code::MethodNotAllowed))
            })
        });
    router.with_state(api)
}

/// The description of the interface: OpenAPI as JSON, the same text for the same program.
pub fn openapi() -> String {
    let mut text = described().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// What the attributes say, and what is the same on every route.
pub(crate) fn described() -> OpenApi {
    let mut api = Description::openapi();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API token of this region: `bwt_<region>_<digits>`.",
        ))
        .build();
    let components = api.components.get_or_insert_default();
    components
        .security_schemes
        .insert("token".to_owned(), SecurityScheme::Http(scheme).into());
    for route in ROUTES {
        let item = api.paths.paths.get_mut(route.path);
        if let Some(operation) = item.and_then(|item| operation_mut(item, route.method)) {
            complete(operation, route);
        }
    }
    api
}

pub(crate) fn operation_mut<'a>(item: &'a mut PathItem, method: &str) -> Option<&'a mut Operation> {
    match method {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PATCH" => item.patch.as_mut(),
        "DELETE" => item.delete.as_mut(),
        _ => None,
    }
}

fn complete(operation: &mut Operation, route: &Route) {
    operation.operation_id = Some(route.name.to_owned());
    let who = match route.access {
        Access::Open => "Needs no token.".to_owned(),
        Access::Own(action) | Access::Tenant(action) => {
            format!("The token's policy action is `{action}`.")
        }
        Access::Operator => "Needs an operator's token.".to_owned(),
    };
    let text = operation.description.take().unwrap_or_default();
    operation.description = Some(format!("{text}\n\n{who}").trim().to_owned());
    if route.access != Access::Open {
        let none: [&str; 0] = [];
        operation.security = Some(vec![SecurityRequirement::new("token", none)]);
    }
    let name = <wire::Error as utoipa::ToSchema>::name();
    let refusal = ResponseBuilder::new()
        .description("A refusal or failure; `code` says which.")
        .content(
            "application/json",
            Content::new(Some(Ref::from_schema_name(name))),
        )
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), refusal.into());
}
