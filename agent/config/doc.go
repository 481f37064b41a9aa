// Package config makes one checked value of all settings of an agent.
//
//	defaults ─┐
//	files ────┤
//	variables ┼► Compile ─► Config ─► the agent, check
//	flags ────┘     ▲
//	                └─ certificates, secrets, scripts, tags, keys: each file read once
//
// # One value
//
// [Compile] reads the settings from all sources and fills in the defaults. From
// them it makes a [Config]: targets with their certificates and secrets, scripts,
// addresses, tags and keys. The agent runs that value and looks at no setting a
// second time.
//
// If a file changes later, the agent keeps the old content until the
// configuration is compiled anew. The token of the operations endpoint is the
// one exception: its file is checked here, and read again for each request.
//
// # Problems and warnings
//
// Either a configuration is right as a whole, or nothing of it is used. The
// [Error] of Compile names every problem, one line for each. A line begins with
// the location of the setting: file and line, variable, or flag. No line shows a
// secret.
//
// A warning is about a setting that works, but hardly as it was meant to. Among
// these are variables that begin with AGENTCTL_ and that no command takes.
// Compile logs nothing: whoever takes the configuration over shows its warnings,
// once.
//
// # Order of sources
//
// Flags override variables, variables override files, and a later file overrides
// an earlier one. Lists of addresses and handlers grow from source to source
// instead, and tags are merged.
//
// # Forms
//
// Values have the forms that serf takes, so that its files and command lines mean
// here what they mean there. An empty text or duration is as if not given, from every
// source. So are 0 in a file, and 0 for a few settings from every source, see
// [Setting]. Numbers in files may be written as 5.0 or 1e3.
//
// # Blocking
//
// Compile reads files and resolves host names, so it can take as long as these
// do. It opens no port and changes nothing. It is safe for concurrent use.
//
// # Files of this package
//
//	options.go    the plain settings and their defaults
//	setting.go    what one setting is; settings.go: the table of all
//	reader.go     a configuration file; fields.go: what its keys set
//	environ.go    variables
//	locations.go  where each setting was given
//	jsonmistake.go what makes a file no JSON, in plain words
//	compile.go    checks; addrs.go, files.go, targets.go, handlers.go: what settings come to
//	commands.go   event handlers that cannot run
//	names.go      names of targets
//	restart.go    what a reload cannot take over
//	summary.go    what an agent would run, in words
package config
