//! The physical planner: DataFusion's own, with the operators of [`crate::nodes`].

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, plan_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode};
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use crate::coded::ByCodes;
use crate::kernels::args::Guard;
use crate::nodes::{Action, InOrder, OneInput, Unique};
use crate::portions::Portions;
use crate::profiles::{FileProfile, FileProfileExec, Lookups};
use crate::sides::{MayBeMissing, SmallerFirst};
use crate::tops::TellTops;
use crate::whole::{Task, Whole, WholeExec};
use crate::widen::{Through, Widen, WidenExec};

/// A rule of the library's, for as long as the query is wanted: planning is one long computation, and
/// each rule asks before it starts, those that go node by node at each node.
#[derive(Debug)]
struct Watched<T: ?Sized> {
    guard: Guard,
    rule: Arc<T>,
}

impl OptimizerRule for Watched<dyn OptimizerRule + Send + Sync> {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        self.guard.check()?;
        self.rule.rewrite(plan, config)
    }
}

impl PhysicalOptimizerRule for Watched<dyn PhysicalOptimizerRule + Send + Sync> {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.guard.check()?;
        self.rule.optimize(plan, config)
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

/// The library's logical rules and ours, watched.
pub(crate) fn logical_rules(guard: &Guard) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    type Rule = Arc<dyn OptimizerRule + Send + Sync>;
    let watched = |rule: Rule| -> Rule {
        let guard = guard.clone();
        Arc::new(Watched { guard, rule })
    };
    let library = Optimizer::new().rules;
    let ours: Rule = Arc::new(Through);
    // Again once conditions have come down to where they meet it.
    let down = library.iter().position(|rule| rule.name() == FILTERS_DOWN);
    let mut rules: Vec<Rule> = library.into_iter().map(&watched).collect();
    rules.insert(down.map_or(0, |at| at + 1), watched(ours.clone()));
    rules.insert(0, watched(ours));
    rules
}

/// The library's rule that takes conditions down.
const FILTERS_DOWN: &str = "push_down_filter";

/// The library's rule that looks at the sides of a join.
const JOIN_SELECTION: &str = "join_selection";

/// The library's rule that takes sorts to where rows come from.
const SORTS_DOWN: &str = "PushdownSort";

/// The library's rule that counts no rows where it knows how many. What it puts there has another name
/// than what is above it may ask for, and there is little to count then.
const KNOWN_COUNTS: &str = "aggregate_statistics";

/// The library's physical rules, watched, and ours.
pub(crate) fn physical_rules(guard: &Guard) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;
    let watched = |rule: Rule| -> Rule {
        let guard = guard.clone();
        Arc::new(Watched { guard, rule })
    };
    let mut rules: Vec<Rule> = PhysicalOptimizer::new()
        .rules
        .into_iter()
        .filter(|rule| rule.name() != KNOWN_COUNTS)
        .map(&watched)
        .collect();
    let missing = MayBeMissing {
        guard: guard.clone(),
    };
    rules.insert(0, watched(Arc::new(missing)));
    // Before what a join learns of its first side is handed to the scan of the other.
    let choice = rules.iter().position(|rule| rule.name() == JOIN_SELECTION);
    rules.insert(
        choice.map_or(0, |at| at + 1),
        watched(Arc::new(SmallerFirst)),
    );
    // Before scans are told what a top learns while it runs.
    let learned = rules.iter().position(|rule| rule.name() == SORTS_DOWN);
    rules.insert(learned.unwrap_or(rules.len()), watched(Arc::new(TellTops)));
    // Last: no rule is to look at what they make.
    rules.push(Arc::new(ByCodes::new(guard.clone())));
    rules
}

#[derive(Debug)]
pub(crate) struct HuntPlanner {
    pub(crate) guard: Guard,
    pub(crate) lookups: Lookups,
}

#[async_trait]
impl QueryPlanner for HuntPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let ours = Arc::new(OurPlanner {
            guard: self.guard.clone(),
            lookups: self.lookups.clone(),
        });
        DefaultPhysicalPlanner::with_extension_planners(vec![ours])
            .create_physical_plan(plan, session)
            .await
    }
}

struct OurPlanner {
    guard: Guard,
    lookups: Lookups,
}

#[async_trait]
impl ExtensionPlanner for OurPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        planning_ctx: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(whole) = node.as_any().downcast_ref::<Whole>() {
            let mut exprs = Vec::new();
            if let Task::Scan(task) = &whole.task {
                for expr in &task.exprs {
                    exprs.push(planner.create_physical_expr(
                        expr,
                        &task.scope,
                        session,
                        planning_ctx,
                    )?);
                }
            }
            let schema = Arc::new(whole.schema.as_arrow().clone());
            return Ok(Some(Arc::new(WholeExec::new(
                physical_inputs.to_vec(),
                whole.task.clone(),
                exprs,
                schema,
                self.guard.clone(),
            ))));
        }
        let (Some(input), Some(logical)) = (physical_inputs.first(), logical_inputs.first()) else {
            return plan_err!("{} without an input", node.name());
        };
        if let Some(widen) = node.as_any().downcast_ref::<Widen>() {
            return Ok(Some(Arc::new(WidenExec::new(widen, input.clone())?)));
        }
        if let Some(profile) = node.as_any().downcast_ref::<FileProfile>() {
            return Ok(Some(Arc::new(FileProfileExec::new(
                input.clone(),
                profile,
                self.lookups.clone(),
                self.guard.clone(),
            ))));
        }
        let action = if let Some(unique) = node.as_any().downcast_ref::<Unique>() {
            let mut keys = Vec::with_capacity(unique.keys.len());
            for key in &unique.keys {
                keys.push(planner.create_physical_expr(
                    key,
                    logical.schema(),
                    session,
                    planning_ctx,
                )?);
            }
            Action::Unique(keys)
        } else if let Some(portions) = node.as_any().downcast_ref::<Portions>() {
            let list = Expr::Column(portions.list.clone());
            Action::Portions(planner.create_physical_expr(
                &list,
                logical.schema(),
                session,
                planning_ctx,
            )?)
        } else if node.as_any().downcast_ref::<InOrder>().is_some() {
            Action::InOrder(input.output_ordering().cloned())
        } else {
            return Ok(None);
        };
        Ok(Some(Arc::new(OneInput::new(
            input.clone(),
            action,
            self.guard.clone(),
        ))))
    }
}
