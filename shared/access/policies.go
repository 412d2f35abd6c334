package access

import (
	"embed"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/cedar-policy/cedar-go"
	publicast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

//go:embed policies/*.cedar
var policyFiles embed.FS

// shape is what is known of a question before documents are looked at: enough to
// answer the beginning of each policy, and all of most.
type shape struct {
	action Action
	app    AppKind
	permit bool         // the owner has let the app in
	grant  cedar.String // as whom the principal has the grant that is asked about: "person", "organisation"; "" of none
}

// prepared is the policies that may say yes to questions of a shape, less what the
// shape has answered, and what they look at.
type prepared struct {
	policies cedar.PolicyIterator
	names    map[cedar.String]bool // of attributes; nil are all
}

func (p prepared) looksAt(name cedar.String) bool { return p.names == nil || p.names[name] }

var (
	byItsAction = byAction(load())
	byShape     sync.Map // prepared by shape: a few hundred at most
)

// prepare is the policies for questions of a shape. What each says of the shape is
// evaluated once, by Cedar: it is most of what a decision would evaluate.
func prepare(s shape) prepared {
	if p, ok := byShape.Load(s); ok {
		return p.(prepared)
	}
	p := s.prepare(byItsAction[s.action])
	byShape.Store(s, p)
	return p
}

func (s shape) prepare(policies list) prepared {
	var kept list
	names := map[cedar.String]bool{}
	for _, n := range policies {
		rest, possible := s.rest((*ast.Policy)(n.policy.AST()))
		if !possible {
			continue
		}
		kept = append(kept, named{n.id, cedar.NewPolicyFromAST((*publicast.Policy)(rest))})
		ast.Inspect(eval.PolicyToNode(rest), func(node ast.IsNode) bool {
			switch n := node.(type) {
			case ast.NodeTypeAccess:
				names[n.Value] = true
			case ast.NodeTypeHas:
				names[n.Value] = true
			}
			return true
		})
	}
	return prepared{kept, names}
}

// rest is a policy without the beginning of its conditions that a shape has answered,
// and whether it may still hold.
func (s shape) rest(policy *ast.Policy) (*ast.Policy, bool) {
	rest := *policy
	rest.Conditions = slices.Clone(policy.Conditions)
	for i, c := range rest.Conditions {
		if c.Condition != ast.ConditionWhen {
			continue
		}
		parts := conjuncts(c.Body)
		for len(parts) > 0 {
			holds, known := s.answers(parts[0])
			if !known {
				break
			}
			if !holds {
				return nil, false
			}
			parts = parts[1:]
		}
		body := ast.True()
		for n, part := range parts {
			if n == 0 {
				body = ast.NewNode(part)
				continue
			}
			body = body.And(ast.NewNode(part))
		}
		rest.Conditions[i].Body = body.AsIsNode()
	}
	return &rest, true
}

// conjuncts is what a condition demands, in the order in which it is evaluated.
func conjuncts(n ast.IsNode) []ast.IsNode {
	if and, ok := n.(ast.NodeTypeAnd); ok {
		return append(conjuncts(and.Left), conjuncts(and.Right)...)
	}
	return []ast.IsNode{n}
}

// answers is whether a condition holds for all questions of a shape, where that is
// known: it is of the context alone, and needs no more of it than a shape says.
func (s shape) answers(condition ast.IsNode) (holds, known bool) {
	known = true
	ast.Inspect(ast.NewNode(condition), func(n ast.IsNode) bool {
		if v, ok := n.(ast.NodeTypeVariable); ok && v.Name != "context" {
			known = false
		}
		return known
	})
	if !known {
		return false, false
	}
	value, err := eval.Eval(condition, eval.Env{Entities: cedar.EntityMap{}, Context: s.context()})
	answer, ok := value.(cedar.Boolean)
	return bool(answer), err == nil && ok
}

// context is what a shape says of the context: what there is, without what is in it,
// so that whatever looks into it fails.
func (s shape) context() cedar.Record {
	app := cedar.RecordMap{"kind": cedar.String(s.app)}
	if s.permit {
		app["permit"] = cedar.NewRecord(nil)
	}
	all := cedar.RecordMap{"app": cedar.NewRecord(app)}
	if s.grant != "" {
		all["grant"] = cedar.NewRecord(cedar.RecordMap{s.grant: cedar.EntityUID{}})
	}
	return cedar.NewRecord(all)
}

// list is policies in the order of their ids.
type list []named

type named struct {
	id     cedar.PolicyID
	policy *cedar.Policy
}

func (l list) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, n := range l {
			if !yield(n.id, n.policy) {
				return
			}
		}
	}
}

// byAction sorts policies by the actions that their heads name. Each names only
// that one then, which Cedar compares at less cost than it looks it up in a set.
func byAction(all *cedar.PolicySet) map[Action]list {
	sets := map[Action]list{}
	for _, id := range slices.Sorted(maps.Keys(maps.Collect(all.All()))) {
		policy := all.Get(id)
		for _, action := range actionsOf(policy) {
			narrowed := *(*ast.Policy)(policy.AST())
			narrowed.Action = ast.ScopeTypeEq{Entity: cedar.NewEntityUID("Action", cedar.String(action))}
			sets[action] = append(sets[action], named{id, cedar.NewPolicyFromAST((*publicast.Policy)(&narrowed))})
		}
	}
	return sets
}

// actionsOf is the actions that a policy's head names; all where it names none.
func actionsOf(policy *cedar.Policy) (named []Action) {
	switch scope := (*ast.Policy)(policy.AST()).Action.(type) {
	case ast.ScopeTypeEq:
		return []Action{Action(scope.Entity.ID)}
	case ast.ScopeTypeInSet:
		for _, entity := range scope.Entities {
			named = append(named, Action(entity.ID))
		}
		return named
	}
	return Actions
}

// load compiles the policies in the binary. Each has an @id, which audit
// events repeat; a mistake stops the function before it serves anything.
func load() *cedar.PolicySet {
	set := cedar.NewPolicySet()
	files, err := policyFiles.ReadDir("policies")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		text, err := policyFiles.ReadFile("policies/" + file.Name())
		if err != nil {
			panic(err)
		}
		list, err := cedar.NewPolicyListFromBytes(file.Name(), text)
		if err != nil {
			panic(err)
		}
		for _, policy := range list {
			id := policy.Annotations()["id"]
			if id == "" || !set.Add(cedar.PolicyID(id), policy) {
				panic("policy without an id of its own in " + file.Name())
			}
		}
	}
	return set
}
