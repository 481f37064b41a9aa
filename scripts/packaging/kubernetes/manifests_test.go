// Package kubernetes checks the manifests of its folders, without a cluster. The
// tests build them with kustomize and decode them strictly into the types of their
// APIs. Then they look for mistakes that a cluster would refuse, or silently ignore.
package kubernetes

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// objects are what a folder comes to.
type objects struct {
	deployment apps.Deployment
	service    core.Service
	monitor    *monitoring.PodMonitor // nil in the base
}

// build is "kubectl kustomize FOLDER", decoded: a field that an API does not know
// is an error, as one of a wrong type.
func build(t *testing.T, folder string) (o objects) {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		kind := r.GetApiVersion() + " " + r.GetKind()
		if seen[kind] {
			t.Errorf("%s: two of %s", folder, kind)
		}
		seen[kind] = true
		var into any
		switch kind {
		case "apps/v1 Deployment":
			into = &o.deployment
		case "v1 Service":
			into = &o.service
		case monitoring.SchemeGroupVersion.String() + " PodMonitor":
			o.monitor = new(monitoring.PodMonitor)
			into = o.monitor
		default:
			t.Fatalf("%s: there is no check for %s", folder, kind)
		}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Errorf("%s: %s: %v\n%s", folder, kind, err, text)
		}
		for _, e := range validation.IsDNS1123Subdomain(r.GetName()) {
			t.Errorf("%s: %s: name %q: %s", folder, kind, r.GetName(), e)
		}
	}
	if !seen["apps/v1 Deployment"] || !seen["v1 Service"] {
		t.Fatalf("%s has only %v", folder, seen)
	}
	return o
}

func TestManifests(t *testing.T) {
	for _, folder := range []string{"base", "monitored"} {
		t.Run(folder, func(t *testing.T) {
			o := build(t, folder)
			pod := &o.deployment.Spec.Template
			selects(t, "the deployment", o.deployment.Spec.Selector.MatchLabels, pod.Labels)
			selects(t, "the service", o.service.Spec.Selector, pod.Labels)
			checkPod(t, &pod.Spec)
			if s := o.service.Spec; s.ClusterIP != core.ClusterIPNone || !s.PublishNotReadyAddresses {
				t.Error("the service does not list each pod, ready or not")
			}
			ports := portsOf(t, &pod.Spec)
			for _, p := range o.service.Spec.Ports {
				if got, ok := ports[p.TargetPort.String()]; !ok || got.Protocol != p.Protocol {
					t.Errorf("the service's port %s leads to no port of the pod: %q", p.Name, p.TargetPort.String())
				}
			}
			if (o.monitor != nil) != (folder == "monitored") {
				t.Fatalf("a PodMonitor is there: %v", o.monitor != nil)
			}
			if o.monitor != nil {
				selects(t, "the monitor", o.monitor.Spec.Selector.MatchLabels, pod.Labels)
				for _, e := range o.monitor.Spec.PodMetricsEndpoints {
					if e.Port == nil || ports[*e.Port].Name == "" {
						t.Error("the monitor scrapes a port that the pod does not have")
					}
				}
			}
		})
	}
}

// selects checks that a selector chooses the pods.
func selects(t *testing.T, what string, selector, of map[string]string) {
	t.Helper()
	if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(of)) {
		t.Errorf("%s selects %v, the pods have %v", what, selector, of)
	}
	for name, value := range of {
		for _, e := range append(validation.IsQualifiedName(name), validation.IsValidLabelValue(value)...) {
			t.Errorf("label %s=%s: %s", name, value, e)
		}
	}
}

// portsOf are the pod's ports by name.
func portsOf(t *testing.T, pod *core.PodSpec) map[string]core.ContainerPort {
	t.Helper()
	ports := map[string]core.ContainerPort{}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, p := range c.Ports {
			for _, e := range validation.IsValidPortName(p.Name) {
				t.Errorf("port %q: %s", p.Name, e)
			}
			if _, twice := ports[p.Name]; twice {
				t.Errorf("port %s is there twice", p.Name)
			}
			ports[p.Name] = p
		}
	}
	return ports
}

// checkPod checks what decoding does not: the sidecar, its probes, mounts and
// variables, and that nothing may more than it needs.
func checkPod(t *testing.T, pod *core.PodSpec) {
	t.Helper()
	if len(pod.InitContainers) != 1 {
		t.Fatalf("%d init containers, want the agent alone", len(pod.InitContainers))
	}
	agent := &pod.InitContainers[0]
	if agent.RestartPolicy == nil || *agent.RestartPolicy != core.ContainerRestartPolicyAlways {
		t.Error("the agent is no native sidecar: an init container with restartPolicy Always")
	}
	ports := portsOf(t, pod)
	for name, probe := range map[string]*core.Probe{"startup": agent.StartupProbe, "readiness": agent.ReadinessProbe, "liveness": agent.LivenessProbe} {
		switch {
		case probe == nil:
			t.Errorf("the agent has no %s probe", name)
		case probe.HTTPGet != nil && ports[probe.HTTPGet.Port.String()].Name == "":
			t.Errorf("the %s probe asks a port that is not there", name)
		case probe.HTTPGet == nil && probe.Exec == nil:
			t.Errorf("the %s probe asks nothing", name)
		}
	}
	if sc := pod.SecurityContext; sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot || sc.RunAsUser == nil || *sc.RunAsUser == 0 ||
		sc.FSGroup == nil || sc.SeccompProfile == nil || sc.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod's security context: %+v", sc)
	}
	volumes := map[string]core.VolumeSource{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v.VolumeSource
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		if sc := c.SecurityContext; sc == nil || sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation ||
			sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem ||
			sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []core.Capability{"ALL"}) {
			t.Errorf("%s: security context: %+v", c.Name, sc)
		}
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: resources: %+v", c.Name, c.Resources)
		}
		for _, m := range c.VolumeMounts {
			if _, ok := volumes[m.Name]; !ok {
				t.Errorf("%s mounts %s, which is no volume", c.Name, m.Name)
			}
		}
		given := map[string]bool{}
		for _, e := range c.Env {
			if given[e.Name] || (e.Value == "") == (e.ValueFrom == nil) {
				t.Errorf("%s: %s is given twice, or not one value", c.Name, e.Name)
			}
			given[e.Name] = true
		}
	}
	checkAgent(t, agent, volumes)
}

// checkAgent checks what the agent is told.
func checkAgent(t *testing.T, agent *core.Container, volumes map[string]core.VolumeSource) {
	t.Helper()
	fields := map[string]string{}
	for _, e := range agent.Env {
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			fields[e.Name] = e.ValueFrom.FieldRef.FieldPath
		}
	}
	want := map[string]string{"AGENTCTL_NODE": "metadata.name", "AGENTCTL_ADVERTISE": "status.podIP"}
	if fmt.Sprint(fields) != fmt.Sprint(want) {
		t.Errorf("the downward API gives %v, want %v", fields, want)
	}
	var kinds bytes.Buffer
	for _, m := range agent.VolumeMounts {
		v := volumes[m.Name]
		switch {
		case v.EmptyDir != nil:
			fmt.Fprintf(&kinds, "%s empty ", m.MountPath)
		case v.Secret != nil && v.Secret.DefaultMode != nil && *v.Secret.DefaultMode == 0o440 && m.ReadOnly:
			fmt.Fprintf(&kinds, "%s secret ", m.MountPath)
		}
	}
	if kinds.String() != "/data empty /etc/agentctl secret " {
		t.Errorf("the agent's volumes: %s", kinds.String())
	}
}
