package pipeline

import (
	"fmt"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

// common is the keys that every stage may have beside its kind.
type common struct {
	// Name of the stage, unique in the pipeline; the kind if it is left out.
	Name string `yaml:"name,optional"`
	// Condition under which the stage runs; items where it does not hold pass
	// by.
	When *Condition `yaml:"when,optional"`
	// Longest time of one call.
	Timeout Duration `yaml:"timeout,optional" min:"1ns"`
	// Items inside the stage at the same time, at most; run.concurrency if it
	// is left out.
	Concurrency int `yaml:"concurrency,optional" min:"1" max:"100000"`
	// Retry policy of this stage; keys that are left out are those of
	// run.retry.
	Retry *RetryConfig `yaml:"retry,optional"`
	// What becomes of an item that fails here. It never passes on.
	OnError OnError `yaml:"on_error,optional" enum:"retry|dead|drop|stop"`
	// When to stop calling the stage for a while.
	Breaker *BreakerConfig `yaml:"breaker,optional"`
	// What the stage may spend of the item's budget.
	Budget BudgetConfig `yaml:"budget,optional"`
	// What all processes on the queue together may do at this stage.
	Limit *LimitConfig `yaml:"limit,optional"`
}

// defaultCooldown is how long an open circuit stays open if the file does not
// say: long enough for a restart on the other side.
const defaultCooldown = Duration(30 * time.Second)

// commonKeys lists the keys of common.
func commonKeys() []string {
	return []string{"name", "when", "timeout", "concurrency", "retry", "on_error", "breaker", "budget", "limit"}
}

// loader turns the list of stages into stage plans.
type loader struct {
	set   *Set
	dir   string
	run   RunConfig
	names map[string]bool
}

// entry is one stage of the file on its way to a plan.
type entry struct {
	node   *Node // the mapping
	kind   NodeField
	def    Def
	common common
	config any // a value of def.Config
}

func (l *loader) stages(list *Node) []StagePlan {
	if list == nil {
		return nil
	}
	var entries []*entry
	for _, n := range list.Items() {
		entries = append(entries, l.entry(n))
	}
	checkOrder(entries)
	l.claimNames(entries)
	plans := make([]StagePlan, 0, len(entries))
	for _, e := range entries {
		if e.def.Kind != "" {
			plans = append(plans, l.plan(e))
		}
	}
	return plans
}

func (l *loader) entry(n *Node) *entry {
	e := &entry{node: n, common: common{OnError: OnErrorRetry}}
	if n.Kind() != KindMap {
		l.notAStage(n)
		return e
	}
	l.findKind(e)
	e.decodeCommon(l.run)
	e.checkLimit()
	if e.def.Kind != "" {
		e.config = e.def.decode(e.kind.Value, l.dir, l.set.cache)
	}
	return e
}

// notAStage reports "- witness" without a colon, and anything else that is no
// mapping.
func (l *loader) notAStage(n *Node) {
	hint := "write - kind: { ... }"
	if n.Kind() == KindScalar {
		if _, ok := l.set.Lookup(n.Raw()); ok {
			hint = "write - " + n.Raw() + ": with a colon"
		}
	}
	n.Problem(CodeWrongType, hint, "want a stage, got %s", n.Kind())
}

// findKind finds the one key of a stage that is a kind.
func (l *loader) findKind(e *entry) {
	var unknown []NodeField
	for _, f := range e.node.Fields() {
		def, known := l.set.Lookup(f.Name)
		switch {
		case slices.Contains(commonKeys(), f.Name):
		case !known:
			unknown = append(unknown, f)
		case e.def.Kind != "":
			f.Key.Problem(CodeTwoKinds, "start a new stage with a dash", "the stage is a %s already; it cannot be a %s too", e.def.Kind, f.Name)
		default:
			e.def, e.kind = def, f
		}
	}
	if e.def.Kind != "" {
		l.unknownKeys(e, unknown)
		return
	}
	l.unknownKinds(e, unknown)
}

// unknownKeys reports keys beside the kind that are not common ones. A key of
// the kind's own config stands on the wrong level.
func (l *loader) unknownKeys(e *entry, unknown []NodeField) {
	for _, f := range unknown {
		if slices.ContainsFunc(configFields(e.def), func(own node.FieldInfo) bool { return own.Name == f.Name }) {
			f.Key.Problem(CodeUnknownKey, "indent it below "+e.def.Kind+":", "%q is not a key of every stage", f.Name)
			continue
		}
		f.Key.UnknownKey(commonKeys())
	}
}

// unknownKinds reports a stage without a known kind: the key that is not a
// common one was meant to be it, unless it is a common one misspelled.
func (l *loader) unknownKinds(e *entry, unknown []NodeField) {
	found := false
	for _, f := range unknown {
		if node.Nearest(f.Name, l.set.Kinds()) == "" && node.Nearest(f.Name, commonKeys()) != "" || found {
			f.Key.UnknownKey(commonKeys())
			continue
		}
		found = true
		f.Key.Problem(CodeUnknownStage, node.Suggest(f.Name, l.set.Kinds()), "there is no stage of the kind %q", f.Name)
	}
	if !found {
		e.node.Problem(CodeNoKind, node.Suggest("", l.set.Kinds()), "the stage has no kind")
	}
}

// decodeCommon decodes the common keys one by one: the kind stands between
// them.
func (e *entry) decodeCommon(run RunConfig) {
	for _, f := range e.node.Fields() {
		if to := e.common.target(f.Name, run); to != nil {
			f.Value.DecodeField(to, &e.common, f.Name)
		}
	}
}

// target returns what the key decodes into, with the defaults that only count
// if the key is there; nil if the key is none of common.
func (c *common) target(key string, run RunConfig) any {
	switch key {
	case "name":
		return &c.Name
	case "when":
		return &c.When
	case "timeout":
		return &c.Timeout
	case "concurrency":
		return &c.Concurrency
	case "retry":
		retry := run.Retry
		c.Retry = &retry
		return &c.Retry
	case "on_error":
		return &c.OnError
	case "breaker":
		c.Breaker = &BreakerConfig{Cooldown: defaultCooldown}
		return &c.Breaker
	case "budget":
		return &c.Budget
	case "limit":
		return &c.Limit
	}
	return nil
}

// checkOrder: the first stage, and only it, is a source; a distributor stands
// second, once.
func checkOrder(entries []*entry) {
	first := entries[0]
	sources, distributors := 0, 0
	for i, e := range entries {
		switch e.def.Role {
		case RoleSource:
			if sources++; i == 0 {
				continue
			}
			if sources == 1 {
				e.kind.Key.Problem(CodeClaimFirst, "move it to the top of the list", "%s is a source: it must be the first stage", e.def.Kind)
				continue
			}
			e.kind.Key.Problem(CodeClaimFirst, "one pipeline claims from one source", "%s is a second source", e.def.Kind)
		case RoleDistributor:
			if distributors++; i != 1 {
				e.kind.Key.Problem(CodeLanesSecond, "move it below the source", "%s must be the second stage", e.def.Kind)
			}
		}
	}
	if sources == 0 && first.def.Kind != "" {
		first.kind.Key.Problem(CodeClaimFirst, "start with claim: { from: ... }", "the first stage must be a source, and %s is none", first.def.Kind)
	}
}

// claimNames gives every stage a unique name: first those that the file names,
// then the others by their kind (kernel, kernel-2).
func (l *loader) claimNames(entries []*entry) {
	for _, e := range entries {
		name := e.common.Name
		at := e.node.Lookup("name")
		switch {
		case at == e.node || !at.IsString():
			continue
		case !nameSyntax.MatchString(name):
			at.Problem(CodeBadName, nameHint, "%q cannot be the name of a stage", name)
		case l.names[name]:
			at.Problem(CodeDuplicateName, "", "another stage is named %q", name)
		}
		l.names[name] = true
	}
	used := map[string]int{} // numbers given out, by kind
	for _, e := range entries {
		if e.common.Name != "" {
			continue
		}
		name := e.def.Kind
		for l.names[name] {
			used[e.def.Kind] = max(1, used[e.def.Kind]) + 1
			name = fmt.Sprintf("%s-%d", e.def.Kind, used[e.def.Kind])
		}
		l.names[name], e.common.Name = true, name
	}
}

func (l *loader) plan(e *entry) StagePlan {
	c := &e.common
	return StagePlan{
		Name: c.Name, Kind: e.def.Kind, Role: e.def.Role, Pos: e.kind.Key.Pos(),
		When: c.When, Timeout: c.Timeout.D(), Concurrency: c.Concurrency, Retry: c.Retry,
		OnError: c.OnError, Breaker: c.Breaker, Budget: c.Budget, Limit: c.Limit,
		Config: e.config, def: e.def,
	}
}
