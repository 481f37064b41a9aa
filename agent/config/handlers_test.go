package config

import (
	"slices"
	"strings"
	"testing"
)

// gatewayEvents is the filter of what a gateway is told, that of Kong's own start
// command.
const gatewayEvents = "member-join,member-leave,member-failed,member-update,member-reap,user:kong"

func TestHandlersBecomeTargetsAndScripts(t *testing.T) {
	o := changed(withHandlers("a.sh b", "user:x=http://h/1", "http://h/1", "query=c.sh"))
	o.Gateway = "http://g:1"
	set := compiled(t, o).Handlers
	var got []string
	for _, x := range set.Targets {
		got = append(got, x.Name+" "+x.Filters.String()+" "+x.URL)
	}
	for _, s := range set.Scripts {
		got = append(got, s.Command+" "+s.Filters.String())
	}
	want := []string{
		"http://h/1#user:x user:x http://h/1",
		"http://h/1 * http://h/1",
		"http://g:1/cluster/events/ " + gatewayEvents + " http://g:1/cluster/events/",
		"a.sh b *",
		"c.sh query",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	bare := changed(withHandlers())
	if set := compiled(t, bare).Handlers; len(set.Targets) != 1 || set.Targets[0].URL != DefaultGateway {
		t.Errorf("without any: %+v", set)
	}
	bare.AsSerf = true
	if set := compiled(t, bare).Handlers; len(set.Targets)+len(set.Scripts) != 0 {
		t.Errorf("as serf, without any: %+v", set)
	}
}

// A target's name is the key to what waits for it: none may change it but the
// target itself.
func TestNoTargetNamesAnother(t *testing.T) {
	t.Parallel()
	const u = "http://h/1"
	specs := []string{"user:a=" + u, "user:b=" + u, u, "query,user=" + u, "user:" + strings.Repeat("x", 200) + "=" + u,
		"user:\x01=" + u, "user:\xff=" + u}
	names := func(specs ...string) (out []string) {
		t.Helper()
		o := changed(withHandlers(specs...))
		set := compiled(t, o).Handlers
		for _, x := range set.Targets {
			out = append(out, x.Name)
		}
		return out
	}
	all := names(specs...)
	if want := []string{u + "#user:a", u + "#user:b", u, u + "#query,user"}; !slices.Equal(all[:4], want) {
		t.Errorf("names %q, want %q first", all, want)
	}
	for i, spec := range specs {
		if alone := names(spec); alone[0] != all[i] {
			t.Errorf("%q has the name %q with others, and %q alone", spec, all[i], alone[0])
		}
	}
	// Two of the same are one request each; of others that could not be told
	// apart one would come by what waits for the other.
	if got, want := names("user:a="+u, "user:a="+u), []string{u + "#user:a", u + "#user:a#2"}; !slices.Equal(got, want) {
		t.Errorf("twins are %q, want %q", got, want)
	}
	for name, change := range map[string]func(*Options){
		"queries":   withHandlers("user:a=http://h/1?k=1", "user:a=http://h/1?k=2"),
		"passwords": withHandlers("user:a=http://u:1@h/1", "user:a=http://u:2@h/1"),
		"targets": func(o *Options) {
			o.Targets = []TargetOptions{{URL: u}, {URL: u, Method: "PUT"}}
		},
		"a gateway": func(o *Options) {
			o.EventHandlers, o.Gateway = []string{"http://g/cluster/events/"}, "http://g/cluster/events/"
		},
	} {
		o := changed(change)
		if _, err := Compile(Input{Defaults: o}); err == nil || !strings.Contains(err.Error(), errTwin.Error()) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestGatewayURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://h":     "http://h/cluster/events/",
		"https://h:1":  "https://h:1/cluster/events/",
		"http://h/":    "http://h/",
		"http://h/x":   "http://h/x",
		"http://h?a":   "http://h?a",
		"unix:/s":      "unix:/s:/cluster/events/",
		"http://u:p@h": "http://u:p@h/cluster/events/",
	} {
		if got := GatewayURL(in); got != want {
			t.Errorf("GatewayURL(%q) = %q, want %q", in, got, want)
		}
	}
}
