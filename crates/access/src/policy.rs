//! The policy: Cedar text and schema, shipped inside the program.
//!
//! Promises
//! - A policy that the schema does not accept does not load.
//! - An error while evaluating is a no, like everything that nothing permits.
//!
//! Does not read entities from anywhere: what is known of the asker comes with the question.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet,
    Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use model::{TenantId, Ticks};

use crate::{Actor, Credential, action};

const POLICY: &str = include_str!("policy.cedar");
const SCHEMA: &str = include_str!("schema.cedarschema");

/// Decides what each actor may do.
#[derive(Debug)]
pub struct Policy {
    policies: PolicySet,
    authorizer: Authorizer,
    schema: Schema,
    names: Names,
}

/// Why a policy text was not accepted. The text of the finding is about the policy, not about data.
#[derive(Debug, thiserror::Error)]
#[error("the policy is not valid: {finding}")]
pub struct PolicyError {
    /// What the parser or the validator said.
    pub finding: String,
}

/// One request to be decided.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) credential: &'a Credential,
    pub(crate) action: &'static str,
    pub(crate) resource: Resource,
    pub(crate) in_scope: bool,
    pub(crate) now: Ticks,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource {
    Tenant(TenantId),
    Cell,
}

/// Names of the schema, parsed once.
#[derive(Debug)]
struct Names {
    tenant: EntityTypeName,
    token: EntityTypeName,
    operator: EntityTypeName,
    system: EntityTypeName,
    local_operator: EntityUid,
    cell: EntityUid,
    actions: Vec<(&'static str, EntityUid)>,
}

impl Policy {
    /// The policy that ships with the program.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::parse(POLICY)
    }

    /// A policy of that text, under the program's schema.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).map_err(finding)?;
        let policies: PolicySet = text.parse().map_err(finding)?;
        let result = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if let Some(error) = result.validation_errors().next() {
            return Err(finding(error));
        }
        Ok(Self {
            policies,
            authorizer: Authorizer::new(),
            schema,
            names: Names::new()?,
        })
    }

    /// The text of the policy that ships with the program, for people to read.
    pub fn shipped_text() -> &'static str {
        POLICY
    }

    pub(crate) fn allows(&self, question: &Question<'_>) -> bool {
        let Some(request) = self.request(question) else {
            return false;
        };
        self.authorizer
            .is_authorized(&request, &self.policies, &Entities::empty())
            .decision()
            == Decision::Allow
    }

    /// `None` if the question does not fit the schema; that is a no.
    fn request(&self, question: &Question<'_>) -> Option<Request> {
        let names = &self.names;
        let credential = question.credential;
        let principal = match credential.actor {
            Actor::Token { id, .. } => entity(&names.token, &id.to_string()),
            Actor::Operator(id) => entity(&names.operator, &id.to_string()),
            Actor::System(name) => entity(&names.system, name),
            Actor::LocalOperator => names.local_operator.clone(),
        };
        let resource = match question.resource {
            Resource::Tenant(tenant) => entity(&names.tenant, &tenant.to_string()),
            Resource::Cell => names.cell.clone(),
        };
        let action = names
            .actions
            .iter()
            .find(|(name, _)| *name == question.action)
            .map(|(_, uid)| uid.clone())?;
        let context = self.context(question)?;
        Request::new(principal, action, resource, context, Some(&self.schema)).ok()
    }

    fn context(&self, question: &Question<'_>) -> Option<Context> {
        let credential = question.credential;
        let permissions = credential
            .scope
            .permissions
            .iter()
            .map(|p| RestrictedExpression::new_string(p.as_str().to_owned()));
        let mut pairs = vec![
            (
                "permissions".to_owned(),
                RestrictedExpression::new_set(permissions),
            ),
            (
                "in_scope".to_owned(),
                RestrictedExpression::new_bool(question.in_scope),
            ),
            (
                "now".to_owned(),
                RestrictedExpression::new_long(question.now.0),
            ),
            (
                "until".to_owned(),
                RestrictedExpression::new_long(credential.until.0),
            ),
        ];
        if let Actor::Token {
            tenant: Some(home), ..
        } = credential.actor
        {
            let home = entity(&self.names.tenant, &home.to_string());
            pairs.push((
                "home".to_owned(),
                RestrictedExpression::new_entity_uid(home),
            ));
        }
        Context::from_pairs(pairs).ok()
    }
}

impl Names {
    fn new() -> Result<Self, PolicyError> {
        let entity_type = |name: &str| name.parse::<EntityTypeName>().map_err(finding);
        let action = entity_type("Action")?;
        Ok(Self {
            tenant: entity_type("Tenant")?,
            token: entity_type("Token")?,
            operator: entity_type("Operator")?,
            system: entity_type("System")?,
            local_operator: entity(&entity_type("LocalOperator")?, "local"),
            cell: entity(&entity_type("Cell")?, "cell"),
            actions: action::ALL
                .iter()
                .map(|name| (*name, entity(&action, name)))
                .collect(),
        })
    }
}

fn entity(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

fn finding(error: impl std::fmt::Display) -> PolicyError {
    PolicyError {
        finding: error.to_string(),
    }
}
