package agent

import (
	"agentctl/scripts/testkit"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHandlersBecomeTargetsAndScripts(t *testing.T) {
	o := changed(withHandlers("a.sh b", "user:x=http://h/1", "http://h/1", "query=c.sh"))
	o.Gateway = "http://g:1"
	set, err := o.handlers()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range set.targets {
		got = append(got, x.Name+" "+x.Filters.String()+" "+x.URL)
	}
	for _, s := range set.scripts {
		got = append(got, s.command+" "+s.filters.String())
	}
	want := []string{
		"http://h/1#user:x user:x http://h/1",
		"http://h/1 * http://h/1",
		"http://g:1/cluster/events/ " + GatewayEvents + " http://g:1/cluster/events/",
		"a.sh b *",
		"c.sh query",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	bare := changed(withHandlers())
	if set, err := bare.handlers(); err != nil || len(set.targets) != 1 || set.targets[0].URL != DefaultGateway {
		t.Errorf("without any: %+v, %v", set, err)
	}
	bare.AsSerf = true
	if set, err := bare.handlers(); err != nil || len(set.targets)+len(set.scripts) != 0 {
		t.Errorf("as serf, without any: %+v, %v", set, err)
	}
}

// kongScriptText is the event script of a Kong 0.8 for an admin API at addr.
func kongScriptText(addr string) string {
	return fmt.Sprintf("#!/bin/sh\nPAYLOAD=`cat` # Read from stdin\n"+
		`if [ "$SERF_EVENT" != "user" ]; then
  PAYLOAD="{\"type\":\"${SERF_EVENT}\",\"entity\": \"${PAYLOAD}\"}"
fi
COMMAND='require("kong.tools.http_client").post("http://%s/cluster/events/", [=['${PAYLOAD}']=], {["content-type"] = "application/json"})'
echo $COMMAND | /usr/local/bin/luajit
`, addr)
}

func TestKongsOwnScriptBecomesATarget(t *testing.T) {
	t.Parallel()
	gw := newGateway(t)
	addr := strings.TrimPrefix(gw.URL, "http://")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	genuine := write("serf_event.sh", kongScriptText(addr))
	pipe := filepath.Join(dir, "pipe")
	makePipe(t, pipe)
	for what, isTarget := range map[string]bool{
		genuine:         true,
		genuine + " x":  false,
		"sh " + genuine: false,
		"serf_event.sh": false,
		dir:             false,
		pipe:            false,
		dir + "/none":   false,
		write("changed.sh", kongScriptText(addr)+"logger done\n"):              false,
		write("large.sh", kongScriptText(addr)+strings.Repeat("\n", 16<<10+1)): false,
	} {
		o := options(handlers("user:kong=" + what))
		set, err := o.handlers()
		if err != nil || len(set.targets)+len(set.scripts) != 1 || (len(set.targets) == 1) != isTarget {
			t.Errorf("%s: %+v, %v, want a target: %v", what, set, err, isTarget)
		}
		o.NativeHandlers = false
		if set, err = o.handlers(); err != nil || len(set.scripts) != 1 {
			t.Errorf("%s, without native handlers: %+v, %v", what, set, err)
		}
	}
	n := start(t, handlers("user:kong="+genuine))
	if s := n.handlers.targets[0]; !s.Collapse || s.Flush == nil || !s.Flush.SelfJoin || s.Filters.String() != "user:kong" {
		t.Errorf("not as Kong wants it: %+v", s)
	}
	if err := n.Publish(t.Context(), "kong", []byte("]=]"), false); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, "the post", func() bool { return len(gw.of("user")) == 1 })
	if p := gw.of("user")[0]; p.body != "]=]" {
		t.Errorf("posted %+v", p)
	}
	testkit.WaitFor(t, "the log to tell of it", func() bool { return n.log.count("events are posted", genuine) == 1 })
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
		set, err := o.handlers()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range set.targets {
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
		if _, err := o.handlers(); err == nil || !strings.Contains(err.Error(), errTwin.Error()) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
