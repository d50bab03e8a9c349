"""The example of a pipeline that tmux-agent grew from, as people have it in their files."""

WEBAPP = """
pipelines:
  - name: "webapp-ci"
    match:
      window_name: "^agent:codex-ci$"
    stages:
      - name: "lint"
        actions_on_start:
          - send_keys: "npm run lint"
        success_when:
          - log_regex: "(?i)0 problems"

      - name: "test"
        triggers:
          - after_stage_success: "lint"
        actions_on_start:
          - send_keys: "npm test"

      - name: "build"
        triggers:
          - after_stage_success: "test"
        require_approval: true  # Human approval required
        actions_on_start:
          - send_keys: "npm run build"
"""
