package monitoring

import (
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// query is an expression of the dashboard or of an alert, and where it stands.
type query struct{ where, expr string }

// ofGrafana is what Grafana puts into an expression before Prometheus sees it.
var ofGrafana = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*")

// panel is the part of a panel, or a row, that is checked.
type panel struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Title   string `json:"title"`
	Targets []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legendFormat"`
	} `json:"targets"`
	GridPos struct{ H, W, X, Y int } `json:"gridPos"`
}

func dashboard(t *testing.T) (panels []panel) {
	t.Helper()
	data, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID           string  `json:"uid"`
		Title         string  `json:"title"`
		SchemaVersion int     `json:"schemaVersion"`
		Panels        []panel `json:"panels"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion == 0 {
		t.Errorf("the dashboard has uid %q, title %q, schemaVersion %d: Grafana wants them all", d.UID, d.Title, d.SchemaVersion)
	}
	return d.Panels
}

// queries are all that the two files ask Prometheus for.
func queries(t *testing.T) (all []query) {
	t.Helper()
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			all = append(all, query{"panel " + p.Title, ofGrafana.Replace(target.Expr)})
		}
	}
	for _, r := range rules(t) {
		all = append(all, query{"alert " + r.Alert, r.Expr})
	}
	return all
}

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

func rules(t *testing.T) (all []rulefmt.Rule) {
	t.Helper()
	groups, errs := rulefmt.ParseFile("alerts.yml", false, model.UTF8Validation, newParser(), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.FailNow()
	}
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// What Prometheus' own reader of rules takes, with what a person who is woken
// needs: how bad it is, what it is, and what to do.
func TestAlerts(t *testing.T) {
	t.Parallel()
	all := rules(t)
	seen := map[string]bool{}
	for _, r := range all {
		if seen[r.Alert] {
			t.Errorf("there are two alerts %s", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: the severity is %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: it needs a summary and a description", r.Alert)
		}
	}
	for _, alert := range []string{"AgentctlTargetStale", "AgentctlTargetRefusing", "AgentctlEventsBuried", "AgentctlQueueOld", "AgentctlClusterSplit"} {
		if !seen[alert] {
			t.Errorf("there is no alert %s", alert)
		}
	}
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	ids := map[int]bool{}
	taken := map[[2]int]string{} // squares of the grid
	for _, p := range dashboard(t) {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d, %q: it needs a number of its own and a title", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %s asks for nothing", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %s lies on %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			expr, err := newParser().ParseExpr(ofGrafana.Replace(target.Expr))
			if err != nil {
				t.Errorf("panel %s: %s: %v", p.Title, target.Expr, err)
				continue
			}
			for _, s := range selectors(expr) {
				if s.matcher("job") == nil || s.matcher("instance") == nil {
					t.Errorf("panel %s: %s does not choose by job and instance", p.Title, target.Expr)
				}
			}
		}
	}
}

// selector is what an expression picks series by.
type selector struct {
	name     string
	matchers []*labels.Matcher
}

func (s selector) matcher(label string) *labels.Matcher {
	for _, m := range s.matchers {
		if m.Name == label {
			return m
		}
	}
	return nil
}

func selectors(expr parser.Expr) (all []selector) {
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			all = append(all, selector{v.Name, v.LabelMatchers})
		}
		return nil
	})
	return all
}
