{{- /* What cluster/settings.py reads. */}}
{{- define "exitway.env" -}}
- {name: EXITWAY_POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: EXITWAY_POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: EXITWAY_POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
- {name: EXITWAY_POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
- {name: EXITWAY_NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
- {name: EXITWAY_RELEASE, value: {{ .Release.Name | quote }}}
- {name: EXITWAY_IMAGE, value: {{ include "exitway.image" . | quote }}}
- {name: EXITWAY_IMAGE_PULL_POLICY, value: {{ .Values.image.pullPolicy | quote }}}
- {name: EXITWAY_SIDECAR_RESOURCES, value: {{ .Values.sidecar.resources | toJson | quote }}}
- {name: EXITWAY_NATIVE_SIDECARS, value: {{ include "exitway.nativeSidecars" . | quote }}}
- {name: EXITWAY_NODE_WALL, value: {{ .Values.node.wall | quote }}}
- {name: EXITWAY_CLUSTER_RANGES, value: {{ join "," .Values.cluster.ranges | quote }}}
- {name: EXITWAY_CLUSTER_DNS, value: {{ join "," .Values.cluster.dns | quote }}}
- {name: EXITWAY_UPSTREAM_DNS, value: {{ join "," .Values.cluster.upstreamDns | quote }}}
- {name: EXITWAY_CLUSTER_DOMAIN, value: {{ .Values.cluster.domain | quote }}}
- {name: EXITWAY_CERTIFICATES, value: {{ .Values.certificates.from | quote }}}
- {name: EXITWAY_DENIED_STATUS, value: {{ .Values.deniedStatus | quote }}}
- {name: EXITWAY_AUDIT_NAMESPACES, value: {{ join "," .Values.auditNamespaces | quote }}}
- {name: EXITWAY_METRICS_PORT, value: {{ .Values.metrics.nodePort | quote }}}
- {name: EXITWAY_TRACES, value: {{ .Values.traces.collector | quote }}}
- {name: EXITWAY_TRACES_PERCENT, value: {{ .Values.traces.percent | quote }}}
- {name: HOME, value: /tmp}
{{- end }}

{{- /* A template of pods of ours. Takes root, part (its name), values, and the port of its metrics (0: it has none). */}}
{{- define "exitway.podMeta" -}}
labels:
  {{- include "exitway.labels" .root | nindent 2 }}
  app.kubernetes.io/name: exitway
  app.kubernetes.io/component: {{ .part }}
{{- $scraped := dict }}
{{- if and .root.Values.metrics.annotations .metrics }}
{{- $scraped = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString .metrics) "prometheus.io/path" "/metrics" }}
{{- end }}
{{- with merge (deepCopy .values.podAnnotations) $scraped }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "exitway.selector" -}}
app.kubernetes.io/name: exitway
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "exitway.placing" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . | quote }}}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "exitway.probes" -}}
startupProbe: {httpGet: {path: /livez, port: {{ .port }}}, periodSeconds: 1, failureThreshold: 60}
livenessProbe: {httpGet: {path: /livez, port: {{ .port }}}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
readinessProbe: {httpGet: {path: /readyz, port: {{ .port }}}, periodSeconds: 2, timeoutSeconds: 2}
{{- end }}

{{- /* Replicas of one part on different nodes and zones, where there are several. */}}
{{- define "exitway.spread" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {{ include "exitway.selector" $ | fromYaml | toJson }}}
  {{- end }}
{{- end }}

{{- define "exitway.authoritiesMount" -}}
{{- if .Values.authorities.configMap }}
- {name: rule-authorities, mountPath: /etc/exitway/authorities, readOnly: true}
{{- end }}
{{- end }}

{{- define "exitway.authoritiesVolume" -}}
{{- if .Values.authorities.configMap }}
- {name: rule-authorities, configMap: {name: {{ .Values.authorities.configMap | quote }}}}
{{- end }}
{{- end }}
