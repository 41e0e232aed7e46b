{{- define "exitway.labels" -}}
app.kubernetes.io/part-of: exitway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "exitway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "exitway.openshift" -}}
{{- if or (eq (toString .Values.openshift.enabled) "true") (and (eq (toString .Values.openshift.enabled) "") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}true{{- end }}
{{- end }}

{{- define "exitway.nativeSidecars" -}}
{{- if eq (toString .Values.sidecar.native) "" -}}
{{ semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version }}
{{- else -}}
{{ .Values.sidecar.native }}
{{- end }}
{{- end }}

{{- /* What every container of ours may do: nothing. The image names its user by number; OpenShift gives another. */}}
{{- define "exitway.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* On what captured pods need to go on: it stays when the rest goes. */}}
{{- define "exitway.kept" -}}
{{- if .Values.uninstall.keep }}
annotations: {helm.sh/resource-policy: keep}
{{- end }}
{{- end }}
