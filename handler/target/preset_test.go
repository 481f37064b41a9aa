package target

import (
	"strings"
	"testing"
)

// A preset's URL at an address, and its flush's.
func TestPresetAt(t *testing.T) {
	for _, c := range []struct{ preset, address, url, flush string }{
		{"kong", "http://h:8001", "http://h:8001/cluster/events/", ""},
		{"kong", "http://h/", "http://h/", ""},
		{"kong", "http://h?a", "http://h?a", ""},
		{"kong-cache", "http://u:p@h:8001", "http://u:p@h:8001/cache/{{.key}}", "http://u:p@h:8001/cache"},
		{"kong-cache", "http://h/admin/cache/{{.key}}", "http://h/admin/cache/{{.key}}", "http://h/cache"},
		{"varnish-purge", "http://h", "http://h{{path}}", "http://h/"},
		{"varnish-purge", "http://h/", "http://h{{path}}", "http://h/"},
		{"varnish-purge", "http://h{{path}}", "http://h{{path}}", "http://h/"},
		{"varnish-purge", "unix:/run/v.sock", "unix:/run/v.sock:{{path}}", "unix:/run/v.sock:/"},
		{"nginx-purge", "http://h/clear{{path}}", "http://h/clear{{path}}", ""},
		{"http", "unix:/run/g.sock", "unix:/run/g.sock", ""},
		{"", "http://h", "http://h", ""},
		{"squid", "", "", ""},
		{"squid", "nonsense", "nonsense{{path}}", ""},
	} {
		p, ok := FindPreset(c.preset)
		if !ok {
			t.Fatalf("there is no preset %q", c.preset)
		}
		got, flush := p.At(c.address), ""
		if got.Flush != nil {
			flush = got.Flush.URL
		}
		if got.URL != c.url || flush != c.flush {
			t.Errorf("%s at %s: %s and %s, want %s and %s", c.preset, c.address, got.URL, flush, c.url, c.flush)
		}
		if got.Header != nil {
			got.Header.Set("Host", "changed")
		}
	}
	if _, ok := FindPreset("nope"); ok {
		t.Error("there is a preset nope")
	}
}

// Each preset is a valid target, with a name of its own, and changing what it
// made changes no other.
func TestPresetsAreTargets(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Presets() {
		target := p.At("http://127.0.0.1:80")
		if err := target.Validate(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if seen[p.Name] || p.About == "" || p.Needs == "" || !strings.HasPrefix(target.URL, "http://127.0.0.1:80") {
			t.Errorf("preset %+v", p)
		}
		seen[p.Name] = true
		if again, _ := FindPreset(p.Name); again.Header.Get("Host") == "changed" {
			t.Errorf("%s was changed by one who used it", p.Name)
		}
	}
}
