package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentctl/handler"
)

// handlerSet is what events are for: targets, whose names are unique, and
// scripts.
type handlerSet struct {
	targets []handler.Target
	scripts []script
	// native has the script that each target, by name, takes the place of.
	native map[string]string
}

// script is an event handler that runs a command.
type script struct {
	filters handler.Filters
	command string
}

// handlers takes the event handlers and the gateway apart. Its error names
// each that is wrong.
func (o *Options) handlers() (handlerSet, error) {
	specs := slices.Clone(o.EventHandlers)
	gateway := o.Gateway
	if gateway == "" && len(specs) == 0 && !o.AsSerf {
		gateway = DefaultGateway
	}
	var errs []error
	if gateway != "" {
		if !handler.IsTarget(gateway) {
			errs = append(errs, fmt.Errorf("gateway: %q is not a URL: want one like %s", redactTarget(gateway), DefaultGateway))
		} else {
			specs = append(specs, GatewayEvents+"="+GatewayURL(gateway))
		}
	}
	set := handlerSet{native: map[string]string{}}
	names := map[string]int{}
	for _, spec := range specs {
		filter, what := handler.SplitHandler(spec)
		filters, err := handler.ParseFilters(filter)
		if err == nil && what == "" {
			err = errors.New("nothing to run or post to after the \"=\"")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("event-handler %q: %w", redact(spec), err))
			continue
		}
		url, native := what, false
		if !handler.IsTarget(what) {
			if url, native = kongScript(what); !native || !o.NativeHandlers {
				set.scripts = append(set.scripts, script{filters, what})
				continue
			}
		}
		t := handler.Target{URL: url, Filters: filters, UserAgent: "agentctl/" + Version}.WithDefaults()
		if err := t.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("event-handler %q: %w", redactTarget(spec), err))
			continue
		}
		if names[t.Name]++; names[t.Name] > 1 {
			t.Name = fmt.Sprintf("%s#%d", t.Name, names[t.Name])
		}
		if native {
			set.native[t.Name] = what
		}
		set.targets = append(set.targets, t)
	}
	return set, errors.Join(errs...)
}

// kongScript reads the script that a command names and returns the URL that it
// posts to, where it surely is one that Kong wrote. Anything but the plain path
// of a file is a command to run.
func kongScript(command string) (url string, ok bool) {
	const most = 16 << 10 // bytes; Kong's have less than 1,000
	if !filepath.IsAbs(command) || strings.ContainsAny(command, " \t\n'\"$`;|&<>()*?[]#~\\") {
		return "", false
	}
	// First of all, since opening a named pipe would wait for ever.
	if info, err := os.Stat(command); err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	f, err := os.Open(command)
	if err != nil {
		return "", false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil || len(text) > most {
		return "", false
	}
	return handler.KongScript(string(text))
}

// GatewayURL gives a gateway's URL without a path the path of Kong's endpoint.
func GatewayURL(u string) string {
	if _, rest, ok := strings.Cut(u, "://"); ok && !strings.ContainsAny(rest, "/?") {
		return u + "/cluster/events/"
	}
	return u
}
