"""What Airflow's provider manager is told about this package; imports nothing, since every process reads it."""

from typing import Any

_SERVICE = "GST Invoice Management System"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-ims",
        "name": "GST Invoice Management System (IMS)",
        "description": "Run GST's Invoice Management System unattended, over Vayana's Enriched API.",
        "integrations": [
            {
                "integration-name": _SERVICE,
                "external-doc-url": "https://docs.enriched-api.vayana.com/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _SERVICE, "python-modules": ["airflow_provider_ims.hooks.gstn"]}],
        "operators": [
            {
                "integration-name": _SERVICE,
                "python-modules": [
                    "airflow_provider_ims.operators.approval",
                    "airflow_provider_ims.operators.bulk",
                    "airflow_provider_ims.operators.summary",
                    "airflow_provider_ims.operators.download",
                    "airflow_provider_ims.operators.ims",
                    "airflow_provider_ims.operators.plan",
                    "airflow_provider_ims.operators.reconcile",
                    "airflow_provider_ims.operators.session",
                ],
            }
        ],
        "sensors": [{"integration-name": _SERVICE, "python-modules": ["airflow_provider_ims.sensors.ims"]}],
        "triggers": [{"integration-name": _SERVICE, "python-modules": ["airflow_provider_ims.triggers.ims"]}],
        "asset-uris": [{"schemes": ["gstn"], "handler": "airflow_provider_ims.assets.sanitize_uri"}],
        "extra-links": [
            "airflow_provider_ims.links.GstPageLink",
            "airflow_provider_ims.links.GstPortalLink",
            "airflow_provider_ims.links.ResultFileLink",
        ],
        "cli": ["airflow_provider_ims.cli.airflow_commands.commands"],
        "config": {
            "gstn": {
                "description": "Settings of the provider airflow-provider-ims.",
                "options": {
                    "session_store": {
                        "description": "Dotted path of the class (airflow_provider_ims.sessions.store.SessionStore)"
                        " that keeps theodore tokens and GSTN sessions. Empty: Airflow Variables.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "my_company.vault.VaultSessionStore",
                        "default": "",
                    }
                },
            }
        },
        "connection-types": [
            {
                "connection-type": "gstn",
                "hook-class-name": "airflow_provider_ims.hooks.gstn.GstnHook",
                "hook-name": "GSTN (Vayana Enriched API)",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"login": "theodore user", "password": "theodore password", "host": "EAS base URL"},
                    "placeholders": {
                        "login": "e-mail address, or mobile number with country code",
                        "host": "empty: the environment decides",
                    },
                },
                "conn-fields": {
                    "environment": _field(
                        "Environment",
                        "Vayana's sandbox (solo) or production (live). Decides the URLs that are not given.",
                        {"type": ["string", "null"], "enum": ["sandbox", "production"]},
                    ),
                    "org_id": _field(
                        "Organisation id",
                        "Id of the organisation to act for; needed when the user has several.",
                        {"type": ["string", "null"]},
                    ),
                    "auth_url": _field(
                        "theodore URL",
                        "Base URL of the login server. Empty: the environment decides.",
                        {"type": ["string", "null"], "format": "url"},
                    ),
                    "gsp_code": _field(
                        "GSP code", "Value of X-FLYNN-N-GSTN-GSP-CODE. Empty: vay.", {"type": ["string", "null"]}
                    ),
                    "gstn_api_version": _field(
                        "GSTN API version",
                        "GSTN's version on the authenticate calls. Empty: v0.2, the documentation's example.",
                        {"type": ["string", "null"]},
                    ),
                    "gstin_header": _field(
                        "GSTIN header",
                        "Name of the header with the taxpayer's GSTIN. Empty: X-FLYNN-N-GSTIN.",
                        {"type": ["string", "null"]},
                    ),
                    "extra_headers": _field(
                        "Extra headers",
                        "JSON object of further headers for every call of the Enriched API. No secrets: use a"
                        " secrets backend for the whole connection if a header must hold one.",
                        {"type": ["string", "null"], "format": "json"},
                    ),
                    "timeout": _field(
                        "Timeout",
                        "Seconds to wait for a reply. Empty: 60.",
                        {"type": ["number", "null"], "minimum": 1, "maximum": 600},
                    ),
                    "token_minutes": _field(
                        "Token life",
                        "Minutes that a theodore token is asked to live. Empty: 20.",
                        {"type": ["integer", "null"], "minimum": 1, "maximum": 360},
                    ),
                    "max_requests_per_second": _field(
                        "Requests per second",
                        "Limit for all requests of one worker or triggerer process, 0.01 to 1000. Empty: none.",
                        {"type": ["number", "null"], "minimum": 0.01, "maximum": 1000},
                    ),
                    "verify_ssl": _field(
                        "Check certificates",
                        "true, false, or the path of a CA bundle. Empty: true.",
                        {"type": ["string", "null"]},
                    ),
                },
            }
        ],
    }


def _field(label: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": schema}
