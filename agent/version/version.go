package version

import (
	"runtime"
	"runtime/debug"
)

// Version is agentctl's own version; a build may set it with -ldflags -X.
var Version = "0.1.0-dev"

// Build is what a program is made of.
type Build struct {
	Version  string // agentctl's
	Revision string // of the source; "" where the build did not know it
	Go       string
	Serf     string // the version of serf's module; "" in a test
}

// ReadBuild tells what this program is made of.
func ReadBuild() Build {
	b := Build{Version: Version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/hashicorp/serf" {
			b.Serf = m.Version
		}
	}
	return b
}
