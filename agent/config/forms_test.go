package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	serfagent "github.com/hashicorp/serf/cmd/serf/command/agent"
	"pgregory.net/rapid"
)

// serfKeys are serf's keys, each with the kind of its value; the keys in mdns look like
// "mdns.interface".
var serfKeys = func() map[string]reflect.Kind {
	keys := map[string]reflect.Kind{}
	for _, s := range Settings() {
		if i := slices.IndexFunc(known, func(k knownSetting) bool { return k.key == s.Key }); s.Key == "" || i < 0 || ofAgentctl(known[i].field) {
			continue
		}
		keys[s.Key] = reflect.TypeOf(s.pointer(new(Options))).Elem().Kind()
	}
	return keys
}()

// ofAgentctl tells whether serf has nothing for a field of Options.
func ofAgentctl(field string) bool { return slices.Contains(onlyOurs, field) }

// forms are JSON values of all kinds, with those that serf takes in more than one form.
var forms = []string{
	`null`, `true`, `false`, `0`, `-0`, `1`, `4`, `5.0`, `4.9`, `0.5`, `-1`, `-2.5`, `1e3`, `1.5E2`, `512`, `9007199254740991`, `1e30`, `-1e30`, `1e400`,
	`""`, `"x"`, `"10s"`, `"1m30s"`, `"0s"`, `"0"`, `"-3s"`, `"3"`, `"1h1"`, `"true"`, `"1e3"`, `" "`, `"\ud800"`, `"ü\u0000"`,
	`[]`, `["a"]`, `["a", "b", ""]`, `[null, "a"]`, `[1]`, `["a", true]`, `[["a"]]`, `[{}]`,
	`{}`, `{"a": "1"}`, `{"a": "1", "A": "2", "": ""}`, `{"a": null}`, `{"a": 1}`, `{"a": {}}`, `{"interface": "e"}`,
}

// right are the forms that a kind of value takes, so that not every file is wrong.
func right(kind reflect.Kind) []string {
	switch kind {
	case reflect.Bool:
		return []string{`true`, `false`, `null`}
	case reflect.Int:
		return []string{`0`, `-0`, `1`, `4`, `5.0`, `4.9`, `0.5`, `-1`, `-2.5`, `1e3`, `1.5E2`, `512`, `9007199254740991`, `null`}
	case reflect.Int64:
		return []string{`""`, `"10s"`, `"1m30s"`, `"0s"`, `"0"`, `"-3s"`, `null`}
	case reflect.Slice:
		return []string{`[]`, `["a"]`, `["a", "b", ""]`, `[null, "a"]`, `null`}
	case reflect.Map:
		return []string{`{}`, `{"a": "1"}`, `{"a": "1", "A": "2", "": ""}`, `{"a": null}`, `null`}
	}
	return []string{`""`, `"x"`, `"10s"`, `" "`, `"\ud800"`, `"ü\u0000"`, `null`}
}

// anyFile draws a configuration file: some of serf's keys, each once, in any case and
// with a value that is mostly of its kind.
func anyFile(t *rapid.T) string {
	var top, mdns []string
	for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(serfKeys))), 0, 6, rapid.ID).Draw(t, "keys") {
		values := right(serfKeys[key])
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			values = forms
		}
		object, inner, nested := strings.Cut(key, ".")
		if !nested {
			inner = object
		}
		if rapid.Bool().Draw(t, "capitals") {
			inner = strings.ToUpper(inner)
		}
		pair := fmt.Sprintf("%q: %s", inner, rapid.SampledFrom(values).Draw(t, "value"))
		if nested {
			mdns = append(mdns, pair)
		} else {
			top = append(top, pair)
		}
	}
	switch rapid.IntRange(0, 40).Draw(t, "more") {
	case 0:
		top = append(top, `"no such key": 1`)
	case 1:
		mdns = append(mdns, `"no such key": 1`)
	case 2:
		return rapid.SampledFrom(forms).Draw(t, "file")
	case 3:
		return fmt.Sprintf(`{"mdns": %s}`, rapid.SampledFrom(forms).Draw(t, "mdns"))
	}
	if len(mdns) > 0 {
		top = append(top, `"mdns": {`+strings.Join(mdns, ", ")+"}")
	}
	return "{" + strings.Join(top, ", ") + "}"
}

// beyondInt tells whether a file has a number that no int holds. Serf makes some other
// number of it, and we an error.
func beyondInt(file string) bool { return strings.Contains(file, "1e30") }

// TestFilesTakeTheFormsThatSerfTakes has serf itself read files with values of all
// forms. We take what it takes, with the same meaning, and refuse the rest.
func TestFilesTakeTheFormsThatSerfTakes(t *testing.T) {
	if len(serfKeys) < 40 {
		t.Fatalf("only %d keys", len(serfKeys))
	}
	taken, refused := 0, 0
	files := rapid.SliceOfN(rapid.Custom(anyFile), 20, 20)
	rapid.Check(t, func(t *rapid.T) {
		for _, file := range files.Draw(t, "files") {
			if asSerfReads(t, file) {
				taken++
			} else {
				refused++
			}
		}
	})
	if taken < 50 || refused < 50 { // some half of 200
		t.Errorf("serf took %d files and refused %d: too few of one kind", taken, refused)
	}
}

// asSerfReads compares how serf and we read a file, and tells whether serf takes it.
func asSerfReads(t *rapid.T, file string) bool {
	read, err := serfagent.DecodeConfig(strings.NewReader(file))
	ours := SerfOptions()
	ours.Protocol = serfagent.DefaultConfig().Protocol // ours may be another
	problems, _ := decodeFile(&ours, locations{}, "f.json", []byte(file))
	switch {
	case err != nil && len(problems) == 0:
		t.Fatalf("%s is taken, and serf says: %v", file, err)
	case err == nil && beyondInt(file):
		if len(problems) == 0 {
			t.Fatalf("%s is taken, although it has a number that no int holds", file)
		}
		return true
	case err == nil && len(problems) > 0:
		t.Fatalf("serf takes %s, and we say: %v", file, problems)
	case err != nil:
		return false
	}
	want := fromSerf(serfagent.MergeConfig(serfagent.DefaultConfig(), read))
	// The settings of which serf reads and ignores the key, see COMPATIBILITY.md.
	want.EnableCompression, ours.EnableCompression = true, true
	want.ValidateNodeNames, want.NewTimeFormat = read.ValidateNodeNames, read.MsgpackUseNewTimeFormat
	if diff := cmp.Diff(want, ours, asSerf); diff != "" {
		t.Fatalf("%s (-serf +ours):\n%s", file, diff)
	}
	return true
}

// TestEmptyFlags gives each flag that is a text or a duration no value: what a file
// says stays, and else the default. A number, or true and false, has no such form.
func TestEmptyFlags(t *testing.T) {
	for _, s := range Settings() {
		if s.Flag == "" {
			continue
		}
		o := DefaultOptions()
		before := o.clone()
		c := &compiler{opts: o, locations: locations{}, files: files{}}
		c.applyFlags([]Flag{{s, ""}})
		switch s.pointer(&o).(type) {
		case *string, *time.Duration:
			if len(c.problems) > 0 || len(c.locations) > 0 {
				t.Errorf("-%s= : %v, noted at %v", s.Flag, c.problems, c.locations)
			}
			if diff := cmp.Diff(before, c.opts); diff != "" {
				t.Errorf("-%s= changed something:\n%s", s.Flag, diff)
			}
		case *[]string:
			if len(c.problems) > 0 {
				t.Errorf("-%s= : %v", s.Flag, c.problems)
			}
		default:
			if len(c.problems) != 1 || s.Flag != "tag" && s.Try("") == nil {
				t.Errorf("-%s= gives %v and %v", s.Flag, c.problems, s.Try(""))
			}
		}
	}
}

// TestAnEmptyFlagUndoesTheSameFlag: the last one counts, as with serf, also where it
// says nothing.
func TestAnEmptyFlagUndoesTheSameFlag(t *testing.T) {
	flag := func(name, value string) Flag { return Flag{setting(t, name, ""), value} }
	for _, tt := range []struct {
		flags    []Flag
		level    string
		interval time.Duration
	}{
		{[]Flag{flag("log-level", "debug"), flag("log-level", "")}, "info", 30 * time.Second},
		{[]Flag{flag("log-level", ""), flag("log-level", "debug")}, "debug", 30 * time.Second},
		{[]Flag{flag("log-level", "warn"), flag("log-level", ""), flag("log-level", "debug")}, "debug", 30 * time.Second},
		{[]Flag{flag("log-level", "nonsense"), flag("retry-interval", "soon"), flag("log-level", ""), flag("retry-interval", "")}, "info", 30 * time.Second},
		{[]Flag{flag("log-level", "warn"), flag("retry-interval", "7s"), flag("retry-interval", "0s")}, "warn", 7 * time.Second},
	} {
		c := &compiler{opts: DefaultOptions(), locations: locations{}, files: files{}}
		c.applyFlags(tt.flags)
		if len(c.problems) > 0 || c.opts.LogLevel != tt.level || c.opts.RetryInterval != tt.interval {
			t.Errorf("%v: level %q, interval %v, %v; want %q and %v", tt.flags, c.opts.LogLevel, c.opts.RetryInterval, c.problems, tt.level, tt.interval)
		}
	}
}

// TestNumbersOfFlags takes the forms that package flag takes for serf.
func TestNumbersOfFlags(t *testing.T) {
	for value, want := range map[string]int{"4": 4, "0x4": 4, "04": 4, "0b100": 4, "1_0": 10, "-1": -1, "1e3": 0, "4.0": 0, "": 0, "99999999999999999999": 0} {
		s, o := setting(t, "retry-max", ""), Options{}
		err := s.set(&o, value)
		if o.RetryMaxAttempts != want || (err == nil) != (want != 0) || (s.Try(value) == nil) != (err == nil) {
			t.Errorf("-retry-max=%s: %d, %v, and as serf %v; want %d", value, o.RetryMaxAttempts, err, s.Try(value), want)
		}
	}
	for value, want := range map[string]int{"0": 5, "-1": 5, "3": 3} { // 0 is as if not given
		o := Options{Protocol: 5}
		if err := setting(t, "protocol", "").set(&o, value); err != nil || o.Protocol != want {
			t.Errorf("-protocol=%s: %d, %v; want %d", value, o.Protocol, err, want)
		}
	}
}

// TestHandlersWithNothingToRun: serf has a shell do nothing for these.
func TestHandlersWithNothingToRun(t *testing.T) {
	o := SerfOptions()
	o.NodeName, o.EventHandlers = "n", []string{"", "user=", "user:x=", "=", "member-join=a.sh"}
	if h := compiled(t, o).Handlers; len(h.Targets) != 0 || len(h.Scripts) != 1 {
		t.Errorf("as serf: %d targets and %d scripts, want one script", len(h.Targets), len(h.Scripts))
	}
	if h := compiled(t, changed(withHandlers(""))).Handlers; len(h.Targets) != 1 {
		t.Errorf("-event-handler= : %d targets, want the default gateway", len(h.Targets))
	}
	o.EventHandlers = []string{"nonsense="}
	if _, err := Compile(Input{Defaults: o}); err == nil {
		t.Error("as serf, a filter that is none is taken where there is nothing to run")
	}
}
