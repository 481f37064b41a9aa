package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
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

const (
	readmePath = "../../README.md"
	updateHint = "run: go test ./cmd/agentctl -run '^TestReadmeTables$' -update"
)

var update = flag.Bool("update", false, "rewrite the tables of README.md that are made from the code")

// A table that is made from the code stands between these lines; what is
// between them is overwritten.
var generated = regexp.MustCompile(`(?s)<!-- table of (\w+): made from the code, [^\n]*-->\n(.*?)<!-- end of the table -->`)

// tables are the parts of README that are made from the code, by name.
func tables(t *testing.T) map[string]string {
	return map[string]string{
		"settings": settingsTable(),
		"metrics":  metricsTable(t),
		"statuses": statusesTable(),
	}
}

// TestReadmeTables holds README's reference of settings, metrics and exit
// statuses against the code.
func TestReadmeTables(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	want := tables(t)
	seen := map[string]bool{}
	changed := generated.ReplaceAllFunc(data, func(part []byte) []byte {
		m := generated.FindSubmatch(part)
		name := string(m[1])
		table, ok := want[name]
		if !ok || seen[name] {
			t.Errorf("README.md: there is no table of %s, or it stands twice", name)
			return part
		}
		seen[name] = true
		if string(m[2]) != table && !*update {
			t.Errorf("README.md: the table of %s is not that of the code; %s\n%s", name, updateHint, lineDiff(string(m[2]), table))
		}
		return fmt.Appendf(nil, "<!-- table of %s: made from the code, change it there; %s -->\n%s<!-- end of the table -->", name, updateHint, table)
	})
	for name := range want {
		if !seen[name] {
			t.Errorf("README.md has no table of %s: put the two lines that begin and end one where it is to be, as the other tables have them", name)
		}
	}
	if *update && !bytes.Equal(changed, data) {
		if err := os.WriteFile(readmePath, changed, 0o644); err != nil {
			t.Fatal(err)
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
	opts.NodeName, opts.Bind, opts.RPCAddr, opts.HTTPAddr = "readme", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
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

// README tells of each key of a target, and of no other.
func TestReadmeHasTheKeysOfTargets(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(data), "\n| key | meaning | default |\n")
	if !ok {
		t.Fatal("README.md has no table of a target's keys: its head is | key | meaning | default |")
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
				t.Errorf("README.md: a target has no key %s", m[1])
			}
		}
	}
	for _, key := range known {
		outer, inner, nested := strings.Cut(key, ".")
		switch {
		case nested && !strings.Contains(table, "`"+inner+"`"):
			t.Errorf("README.md does not name the key %s of %s of a target", inner, outer)
		case !nested && !first[key]:
			t.Errorf("README.md: the table of a target's keys has no row for %s", key)
		}
	}
}
