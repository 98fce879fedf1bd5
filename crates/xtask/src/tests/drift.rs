//! Feature drift between two trees.

use expect_test::expect;

use crate::drift::{differences, read};

#[test]
fn a_feature_that_only_the_outer_tree_has_is_named() {
    let inner = read(
        "query v0.1.0 (/x/query)|\nsmallvec v1.13.2|union\nlog v0.4.1 (/x)|std\nlog v0.4.1| (*)\n",
    );
    let outer =
        read("smallvec v1.13.2|const_new,union,write\nlog v0.4.1|std (*)\nclap v4.6.0|std\n");
    expect![[r#"[("smallvec v1.13.2", "const_new`, `write")]"#]]
        .assert_eq(&format!("{:?}", differences(&inner, &outer)));
    assert!(differences(&outer, &inner).is_empty());
}
