package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/logs"
)

const updateHint = "run: go test ./cmd/agentctl -run '^TestPageTables$' -update"

var update = flag.Bool("update", false, "rewrite the tables of the pages that are made from the code")

// tables are the parts of the pages that are made from the code, by name.
func tables(t *testing.T) map[string]string {
	return map[string]string{
		"settings": settingsTable(),
		"metrics":  metricsTable(t),
		"statuses": statusesTable(),
	}
}

// TestPageTables holds the references of settings, metrics and exit statuses
// against the code. Each stands on one page.
func TestPageTables(t *testing.T) {
	t.Parallel()
	want := tables(t)
	seen := map[string]string{} // the page of each
	for _, p := range allPages(t) {
		for _, table := range p.Tables() {
			text, ok := want[table.Name]
			switch {
			case !ok:
				t.Errorf("%s: there is no table of %s", p.Path, table.Name)
			case seen[table.Name] != "":
				t.Errorf("%s: the table of %s stands in %s already", p.Path, table.Name, seen[table.Name])
			case table.Text != text && !*update:
				t.Errorf("%s: the table of %s is not that of the code; %s\n%s", p.Path, table.Name, updateHint, lineDiff(table.Text, text))
			}
			seen[table.Name] = p.Path
		}
		if changed := p.WithTables(want, updateHint); *update && changed != p.Text {
			if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(p.Path)), []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name := range want {
		if seen[name] == "" {
			t.Errorf("no page has the table of %s: put the two lines that begin and end one where it is to be, as the other tables have them", name)
		}
	}
}

// lineDiff is the lines that only one of two texts has.
func lineDiff(old, now string) string {
	var b strings.Builder
	has := func(text, line string) bool { return slices.Contains(strings.Split(text, "\n"), line) }
	for line := range strings.SplitSeq(old, "\n") {
		if !has(now, line) {
			b.WriteString("- " + line + "\n")
		}
	}
	for line := range strings.SplitSeq(now, "\n") {
		if !has(old, line) {
			b.WriteString("+ " + line + "\n")
		}
	}
	return b.String()
}

// cell is text for a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func settingsTable() string {
	var b strings.Builder
	b.WriteString("| flag | key in files | default | meaning |\n| --- | --- | --- | --- |\n")
	defaults := config.DefaultOptions()
	for _, s := range config.Settings() {
		flag, key, value := "", "", ""
		if s.Flag != "" {
			flag = "-" + s.Flag
			if s.Arg != "" {
				flag += "=" + s.Arg
			}
			flag = "`" + flag + "`"
		}
		if s.Key != "" {
			key = "`" + s.Key + "`"
		}
		if d := s.Default(&defaults); d != "" {
			value = "`" + d + "`"
		}
		usage := s.Usage
		if s.Repeat {
			usage += "; may be repeated"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(flag), key, value, cell(usage))
	}
	return b.String()
}

func statusesTable() string {
	var b strings.Builder
	b.WriteString("| status | meaning |\n| --- | --- |\n")
	for _, e := range exitStatuses {
		fmt.Fprintf(&b, "| %d | %s |\n", e.status, cell(e.text))
	}
	return b.String()
}

// descText is how a Desc prints itself; it has no other way to be read.
var descText = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: ("(?:[^"\\]|\\.)*"), (?:unit: "[^"]*", )?constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// metricsTable has the agent's own metrics.
func metricsTable(t *testing.T) string {
	t.Helper()
	opts := config.DefaultOptions()
	opts.NodeName, opts.Bind, opts.RPCAddr, opts.HTTPAddr = "pages", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	opts.DataDir = t.TempDir()
	hub := logs.New(logs.Config{Out: new(bytes.Buffer)})
	defer hub.Close()
	conf, err := config.Compile(config.Input{Defaults: opts})
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(conf, hub, agent.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	reg := a.Metrics()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]dto.MetricType{}
	for _, f := range families {
		types[f.GetName()] = f.GetType()
	}
	descs := make(chan *prometheus.Desc)
	go func() { reg.Describe(descs); close(descs) }()
	rows := map[string]string{}
	for d := range descs {
		m := descText.FindStringSubmatch(d.String())
		if m == nil {
			t.Errorf("a metric that this test cannot read: %v", d)
			continue
		}
		name := m[1]
		if !strings.HasPrefix(name, "agentctl_") {
			continue
		}
		typ := "counter"
		if known, ok := types[name]; ok {
			typ = strings.ToLower(known.String())
		} else if !strings.HasSuffix(name, "_total") {
			t.Errorf("%s: the type is not known, as it has no series yet: give it those that it will have", name)
		}
		help := strings.ReplaceAll(m[2][1:len(m[2])-1], `\"`, `"`)
		rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, typ, labelNames(m[3], m[4]), cell(help))
	}
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		b.WriteString(rows[name])
	}
	return b.String()
}

// labelNames are those of a Desc: constant ones are name="value".
func labelNames(constant, variable string) string {
	var names []string
	for _, l := range strings.Split(constant, ",") {
		if name, _, ok := strings.Cut(l, "="); ok {
			names = append(names, "`"+name+"`")
		}
	}
	for _, l := range strings.Split(variable, ",") {
		if l != "" {
			names = append(names, "`"+l+"`")
		}
	}
	return strings.Join(names, ", ")
}

// The page on settings tells of each key of a target, and of no other.
func TestPageHasTheKeysOfTargets(t *testing.T) {
	t.Parallel()
	const path, head = "agent/config/README.md", "| key | meaning | default |"
	_, table, ok := strings.Cut(pageAt(t, path).Text, "\n"+head+"\n")
	if !ok {
		t.Fatalf("%s has no table of a target's keys: its head is %s", path, head)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	known := config.TargetKeys()
	word := regexp.MustCompile("`([a-z_]+)`")
	first := map[string]bool{}
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(row, " | ")
		for _, m := range word.FindAllStringSubmatch(cells[0], -1) {
			first[m[1]] = true
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: a target has no key %s", path, m[1])
			}
		}
	}
	for _, key := range known {
		outer, inner, nested := strings.Cut(key, ".")
		switch {
		case nested && !strings.Contains(table, "`"+inner+"`"):
			t.Errorf("%s does not name the key %s of %s of a target", path, inner, outer)
		case !nested && !first[key]:
			t.Errorf("%s: the table of a target's keys has no row for %s", path, key)
		}
	}
}
