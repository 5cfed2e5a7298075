"""Reads a file of alerting rules as Prometheus does, with the PyPI packages PyYAML and promql-parser.

In: the file. Out: for each series that an expression selects, a JSON object per line: the alert, the name of the metric and
the labels that have to be there, each with its value, or null where it is only matched by a pattern. Fails with what is wrong
where Prometheus would not load the file.
"""

import json
import sys

import promql_parser
import yaml

RULE = {"alert", "expr", "for", "labels", "annotations"}


class Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, as Prometheus does."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice: {keys}"
        return super().construct_mapping(node, deep)


def selectors(expression):
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
        return
    parts = [getattr(expression, name, None) for name in ("lhs", "rhs", "expr", "param", "vector_selector")]
    for part in [part for part in parts if part is not None] + list(getattr(expression, "args", None) or []):
        yield from selectors(part)


def labels(selector):
    equal = promql_parser.MatchOp.Equal
    return {matcher.name: matcher.value if matcher.op == equal else None for matcher in selector.matchers.matchers}


groups = yaml.load(sys.stdin.read(), Strict)["groups"]
names = [group["name"] for group in groups]
assert len(names) == len(set(names)), names
alerts = [rule["alert"] for group in groups for rule in group["rules"]]
assert len(alerts) == len(set(alerts)), alerts
for group in groups:
    assert set(group) == {"name", "rules"}, set(group)
    for rule in group["rules"]:
        assert set(rule) <= RULE and {"alert", "expr", "labels", "annotations"} <= set(rule), rule
        promql_parser.parse_duration(rule.get("for", "1s"))
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        found = list(selectors(promql_parser.parse(rule["expr"])))
        assert found, rule["alert"]
        for selector in found:
            print(json.dumps({"alert": rule["alert"], "metric": selector.name, "labels": labels(selector)}))
