//! The grammar of graphs: `make-graph`, `graph-match`, `graph-to-table`.

use super::Parser;
use crate::syntax::Kind;

impl Parser<'_> {
    /// `source --> target with nodes on key, nodes on key`, or `with_node_id=name`.
    pub(super) fn make_graph(&mut self) {
        self.declared_name();
        for (kind, what) in [
            (Kind::Minus, "`-->`"),
            (Kind::Minus, "`-->`"),
            (Kind::Greater, "`-->`"),
        ] {
            self.expect(kind, what);
        }
        self.declared_name();
        self.options(&["with_node_id"]);
        if self.eat_word("with") {
            self.list_of(|p| {
                p.start(Kind::Clause);
                p.table_operand();
                if p.eat_word("on") {
                    p.declared_name();
                } else {
                    p.expected("`on`");
                }
                p.finish();
            });
        }
        if self.eat_word("partitioned-by") {
            self.skip_balanced();
        }
    }

    /// `cycles=none (a)-[e]->(b), … where condition project columns`.
    pub(super) fn graph_match(&mut self) {
        self.options(&["cycles", "output"]);
        self.list_of(Self::graph_pattern);
        if self.is_word("where") {
            self.start(Kind::Clause);
            self.bump();
            self.expression();
            self.finish();
        }
        if self.is_word("project") {
            self.start(Kind::Clause);
            self.bump();
            self.list_of(Self::named);
            self.finish();
        }
    }

    fn graph_pattern(&mut self) {
        self.start(Kind::GraphPattern);
        self.graph_node();
        while matches!(self.kind(0), Some(Kind::Minus | Kind::Less)) {
            let before = self.at;
            self.graph_edge();
            self.graph_node();
            if self.at == before {
                break;
            }
        }
        self.finish();
    }

    fn graph_node(&mut self) {
        self.start(Kind::GraphNode);
        self.expect(Kind::OpenParen, "a node in brackets");
        // A node that nobody asks about has no name.
        self.declared_name();
        self.expect(Kind::CloseParen, "`)`");
        self.finish();
    }

    /// `-[name*1..3]->`, `-[name*least..most]->`, `<-[name]-`, `--`, `-->`, `<--`.
    fn graph_edge(&mut self) {
        self.start(Kind::GraphEdge);
        self.eat(Kind::Less);
        self.expect(Kind::Minus, "`-`");
        if self.eat(Kind::OpenBracket) {
            self.declared_name();
            if self.eat(Kind::Star) {
                self.edge_bound();
                if self.eat(Kind::DotDot) {
                    self.edge_bound();
                }
            }
            self.expect(Kind::CloseBracket, "`]`");
        }
        self.expect(Kind::Minus, "`-`");
        self.eat(Kind::Greater);
        self.finish();
    }

    /// A number, or the name of one.
    fn edge_bound(&mut self) {
        if matches!(self.kind(0), Some(Kind::Integer | Kind::Word)) {
            self.start(Kind::Clause);
            self.sum();
            self.finish();
        }
    }

    /// `nodes as name with_node_id=id, edges …`.
    pub(super) fn graph_to_table(&mut self) {
        self.list_of(|p| {
            p.start(Kind::GraphOutput);
            if !(p.eat_word("nodes") || p.eat_word("edges")) {
                p.expected("`nodes` or `edges`");
            }
            if p.eat_word("as") && !p.declared_name() {
                p.expected("a name");
            }
            p.options(&["with_node_id", "with_source_id", "with_target_id"]);
            p.finish();
        });
    }
}
