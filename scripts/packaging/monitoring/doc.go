// Package monitoring is nothing but the check of what stands beside it: the
// Grafana dashboard and the alert rules for Prometheus. It is a module of its
// own, since Prometheus' parser is large and no part of the program needs it.
package monitoring
