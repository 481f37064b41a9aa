package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read applies configuration files to the defaults, and nothing else.
func read(paths ...string) (Options, error) {
	c := &compiler{opts: DefaultOptions(), locations: locations{}, files: files{}}
	c.readConfig(paths)
	if len(c.problems) > 0 {
		return c.opts, &Error{problems: c.problems}
	}
	return c.opts, nil
}

func TestConfigFileProblemsAllAtOnce(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := write("1.json", `{
  "profil": "wan",
  "protocol": "five",
  "rpc_auth": 12345678,
  "tags": {"a": 1},
  "mdns": {"ipv4": true},
  "retry_interval": "30",
  "replay_on_join": "yes",
  "start_join": "10.0.0.1",
  "event_handlers": "http://user:hidden@h/",
  "node_name": [
    1, 2
  ],
  "role": "still read"
}`)
	second := write("2.json", "{\n\n\"bind\": \"a\"\n\"role\": \"b\"}")
	third := write("3.json", "{} {}")
	fourth := write("4.json", "[]")
	fifth := write("5.json", "{\"bind\": \"x\",\n")
	sixth := write("6.json", strings.Repeat(" ", maxConfigSize+1))
	seventh := write("7.json", `{"mdns": 7}`)
	o, err := read(first, second, third, fourth, fifth, sixth, seventh, filepath.Join(dir, "none.json"))
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		first + `:2:3: unknown key "profil", did you mean "profile"?`,
		first + `:3:15: protocol: "five" is not a whole number`,
		first + `:4:15: rpc_auth: want a text, not a number`,
		first + `:5:11: tags: the value of "a" is a number, not a text`,
		first + `:6:12: unknown key "mdns.ipv4"`,
		first + `:7:21: retry_interval: "30" is not a duration such as 30s or 5m`,
		first + `:8:21: replay_on_join: "yes" is not true or false`,
		first + `:9:17: start_join: "10.0.0.1" is not a list of texts: put it in brackets`,
		first + `:10:21: event_handlers: "http://user:xxxxx@h/" is not a list of texts: put it in brackets`,
		first + `:11:16: node_name: [1,2] is not a text`,
		second + `:4:1: a comma is missing before this`,
		third + `:1:4: something follows the end of the JSON: a file has one object`,
		fourth + `:1:1: want a JSON object, not a list`,
		fifth + `:2:1: the file ends too early: the brace of line 1 is not closed`,
		fmt.Sprintf("config file: %s: larger than %d bytes", sixth, maxConfigSize),
		seventh + `:1:10: mdns: want a JSON object, not a number`,
		fmt.Sprintf("config file: stat %s: no such file or directory", filepath.Join(dir, "none.json")),
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if o.Role != "still read" {
		t.Error("a problem kept the other keys from being read")
	}
}

func TestUnknownKeySuggestions(t *testing.T) {
	for key, want := range map[string]string{
		"rpc_adr":                  `f:1:2: unknown key "rpc_adr", did you mean "rpc_addr"?`,
		"RPC-ADDR":                 `f:1:2: unknown key "RPC-ADDR", did you mean "rpc_addr"?`,
		"start_joins":              `f:1:2: unknown key "start_joins", did you mean "start_join"?`,
		"something_else":           `f:1:2: unknown key "something_else"`,
		"":                         `f:1:2: unknown key ""`,
		strings.Repeat("a", 1<<16): `f:1:2: unknown key "` + strings.Repeat("a", 80) + `…"`,
	} {
		o := DefaultOptions()
		errs, _ := decodeFile(&o, locations{}, "f", fmt.Appendf(nil, "{%q: 1}", key))
		if len(errs) != 1 || errs[0].Error() != want {
			t.Errorf("%.20q: %.200v, want %s", key, errs, want)
		}
	}
}

// FuzzDecodeFile: whatever a file holds, reading does not panic; a file that
// is taken says the same each time; one that is not has errors of one line
// that name the file and a line in it.
func FuzzDecodeFile(f *testing.F) {
	f.Add([]byte(`{"node_name": "n", "tags": {"a": "b"}, "start_join": ["x"], "protocol": 4}`))
	f.Add([]byte("{\n\"mdns\": {\"interface\": 1},\n\"retry_interval\": \"x\"}"))
	f.Add([]byte(`{"leave_on_terminate": false} x`))
	location := regexp.MustCompile(`^f\.json:(\d+):\d+: .`)
	f.Fuzz(func(t *testing.T, data []byte) {
		one, two := DefaultOptions(), DefaultOptions()
		errs, _ := decodeFile(&one, locations{}, "f.json", data)
		again, _ := decodeFile(&two, locations{}, "f.json", data)
		if fmt.Sprint(errs) != fmt.Sprint(again) {
			t.Fatalf("errors differ: %v, %v", errs, again)
		}
		if diff := cmp.Diff(one, two); diff != "" {
			t.Fatalf("read twice:\n%s", diff)
		}
		lines := 1 + strings.Count(string(data), "\n")
		for _, err := range errs {
			m := location.FindStringSubmatch(err.Error())
			if m == nil || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q does not name its location, or is more than a line", err)
			}
			if n, _ := strconv.Atoi(m[1]); n < 1 || n > lines {
				t.Errorf("%q: the file has %d lines", err, lines)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}
	})
}

// The wrong entry of a list or an object is named, and never shown: it may be a secret.
// A number of ours has no fraction, where serf would cut it off.
func TestTheWrongEntryIsNamed(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"retry_join": ["a", 5]}`:                                     `f.json:1:16: retry_join: entry 2 is a number, not a text`,
		`{"event_handlers": [{"user": "x"}]}`:                          `f.json:1:20: event_handlers: entry 1 is an object, not a text`,
		`{"tags": {"a": "b", "c": ["s3cret"]}}`:                        `f.json:1:10: tags: the value of "c" is a list, not a text`,
		`{"targets": [{"headers": {"X": 5}}]}`:                         `f.json:1:26: targets[0].headers: the value of "X" is a number, not a text`,
		`{"targets": [{"bury_codes": [409, 1.5]}]}`:                    `f.json:1:29: targets[0].bury_codes: entry 2 is a number, not a whole number`,
		`{"targets": [{"concurrency": 1.5}]}`:                          `f.json:1:30: targets[0].concurrency: 1.5 is not a whole number`,
		`{"queue_max_events": 10.5}`:                                   `f.json:1:22: queue_max_events: 10.5 is not a whole number`,
		`{"targets": [{"concurrency": 2.0}], "queue_max_events": 1e3}`: `<nil>`,
	} {
		var o Options
		errs, _ := decodeFile(&o, locations{}, "f.json", []byte(data))
		if got := fmt.Sprint(errors.Join(errs...)); got != want {
			t.Errorf("%s: %s, want %s", data, got, want)
		}
	}
}

// A key that is given twice, and a file that is not UTF-8, are read in some way, and
// hardly as they were meant.
func TestWarningsOfFiles(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"{\"node_name\": \"a\",\n\"Node_Name\": \"b\"}":                                                                        `f.json:2:1: Node_Name: this counts, not the same key in line 1: remove one of them`,
		`{"targets": [{"url": "http://a", "url": "http://b"}]}`:                                                                `f.json:1:34: targets[0].url: this counts, not the same key in line 1: remove one of them`,
		`{"targets": [{"url": "a"}, {"url": "b"}], "tags": {}, "targets": [], "tags": {}, "retry_join": [], "retry_join": []}`: ``,
		"{\"tags\": {\"site\": \"Z\xfcrich\"}}":                                                                                `f.json:1:21: this is no UTF-8, and is read as �: save the file as UTF-8`,
		"{\"tags\": {\"site\": \"Zürich �\"}}":                                                                                 ``,
	} {
		var o Options
		errs, warnings := decodeFile(&o, locations{}, "f.json", []byte(data))
		if got := strings.Join(warnings, "\n"); got != want || errs != nil {
			t.Errorf("%s: %s, %v, want %s", data, got, errs, want)
		}
	}
	path := fileNamed(t, "twice.json", `{"node_name": "a", "node_name": "b"}`)
	for want, defaults := range []Options{SerfOptions(), DefaultOptions()} {
		if conf, err := Compile(Input{Defaults: defaults, Files: []string{path}}); err != nil || len(conf.Warnings) != want {
			t.Errorf("as serf: %v: %v, %v", defaults.AsSerf, conf, err)
		}
	}
}
