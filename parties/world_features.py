"""What the four parties of the generated world know: its columns, group by group.

A group's columns are noisy views of the same hidden traits of a business, as the same figure
over several periods is in life.  ``loads`` says which traits; a group without loads is noise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TRAITS = (
    "size",  # turnover and staff
    "age",
    "management",  # how well the business is run
    "liquidity",
    "growth",
    "network",  # stability of customers and suppliers
    "compliance",  # pays taxes, contributions and bills when due
    "leverage",
)


@dataclass(frozen=True)
class Group:
    """Columns of one theme.

    ``kind`` is amount, count, share, change, days, flag or code; ``level`` and ``spread`` place
    and scale the column in that kind's natural unit.  ``noise`` blurs the whole group, ``wobble``
    each column by itself; ``missing`` is the average share of missing values.
    """

    names: str
    kind: str
    loads: dict[str, float] = field(default_factory=dict)
    level: float = 0.0
    spread: float = 1.0
    noise: float = 1.0
    wobble: float = 0.5
    missing: float = 0.0

    def columns(self) -> list[str]:
        """The names, with ``x_{3m,6m}`` written out."""
        out: list[str] = []
        for name in self.names.split():
            match = re.fullmatch(r"(.*)\{(.*)\}(.*)", name)
            out += [match[1] + m + match[3] for m in match[2].split(",")] if match else [name]
        return out


def _noise(names: str, kind: str, level: float, spread: float = 1.0) -> Group:
    return Group(names, kind, {}, level, spread, missing=0.01)


BANK = [
    Group("loan_amount", "amount", {"size": 1.0, "leverage": 0.5}, 12.3, 0.8, 0.6),
    Group("loan_term_months", "days", {"leverage": 0.4, "age": 0.3}, 30, 12, 1.2),
    Group("interest_rate", "share", {"leverage": 0.5, "liquidity": -0.4}, -2.9, 0.25, 1.3),
    Group(
        "collateral_ratio", "share", {"leverage": -0.6, "size": 0.3}, 0.2, 0.9, 1.2, missing=0.07
    ),
    Group("average_balance_6m", "amount", {"liquidity": 0.7, "size": 0.8}, 10.4, 1.3, 1.1),
    Group("credit_line_utilisation", "share", {"leverage": 0.7, "liquidity": -0.4}, 0.1, 1.1, 1.2),
    Group("late_payments_12m", "count", {"compliance": -0.5, "liquidity": -0.4}, -1.0, 1.0, 1.0),
    Group("years_as_customer", "days", {"age": 1.0}, 5, 3.5, 0.8, missing=0.02),
]

GOVERNMENT = [
    # Tax
    Group("vat_paid_{3m,6m,12m,24m}", "amount", {"size": 1.0, "growth": 0.3}, 10.0, 1.2, 0.5),
    Group("income_tax_paid_{12m,24m}", "amount", {"size": 0.9, "management": 0.5}, 9.2, 1.4, 0.8),
    Group("tax_payable_{3m,12m}", "amount", {"liquidity": -0.5, "size": 0.6}, 8.2, 1.3, 1.2),
    Group("taxable_sales_{3m,6m,12m,24m}", "amount", {"size": 1.2, "growth": 0.2}, 13.2, 1.1, 0.4),
    Group("taxable_sales_growth_{6m,12m,24m}", "change", {"growth": 1.0}, 0.06, 0.3, 1.1, 0.7),
    Group("tax_late_filings_{6m,12m,24m}", "count", {"compliance": -1.0}, -0.9, 1.0, 1.0, 0.7),
    Group(
        "tax_arrears_amount_{12m,24m}",
        "amount",
        {"compliance": -0.8, "liquidity": -0.3},
        6.0,
        1.8,
        1.2,
        missing=0.12,
    ),
    Group("tax_credit_grade", "code", {"compliance": -1.0, "management": -0.3}, 5, noise=1.0),
    Group("tax_amendments_{12m,24m}", "count", {"management": -0.5}, -0.6, 0.7, 1.2),
    Group("export_rebate_{12m,24m}", "amount", {"size": 0.7}, 9.5, 1.5, 1.0, missing=0.55),
    # Social insurance and housing fund
    Group("insured_employees", "count", {"size": 1.2}, 2.4, 0.8, 0.4),
    Group(
        "insured_employees_change_{3m,6m,12m,24m}",
        "change",
        {"growth": 0.8, "management": 0.3},
        0.02,
        0.18,
        1.0,
        0.8,
    ),
    Group("social_insurance_paid_{3m,6m,12m}", "amount", {"size": 1.1}, 10.8, 1.0, 0.5),
    Group(
        "social_insurance_late_months_{12m,24m}",
        "count",
        {"compliance": -0.7, "liquidity": -0.4},
        -0.8,
        1.0,
        1.0,
        0.7,
    ),
    Group("average_contribution_base", "amount", {"management": 0.5, "size": 0.3}, 8.6, 0.3),
    Group("housing_fund_members", "count", {"size": 1.0}, 2.0, 0.9, 0.7, missing=0.1),
    Group("housing_fund_paid_{6m,12m}", "amount", {"size": 1.0}, 9.9, 1.1, 0.6, missing=0.1),
    Group("housing_fund_late_months_12m", "count", {"compliance": -0.7}, -1.0, 0.9, missing=0.1),
    Group("employee_turnover_12m", "share", {"management": -0.8}, -1.4, 0.6, 1.0),
    # Invoices
    Group("invoice_count_out_{3m,6m,12m}", "count", {"size": 1.0}, 4.0, 0.9, 0.5),
    Group("invoice_count_in_{3m,6m,12m}", "count", {"size": 1.0}, 3.6, 0.9, 0.6),
    Group("invoice_amount_out_{3m,6m,12m}", "amount", {"size": 1.1}, 12.9, 1.2, 0.4),
    Group("invoice_amount_in_{3m,6m,12m}", "amount", {"size": 1.0}, 12.5, 1.2, 0.5),
    Group("invoice_void_share_{6m,12m}", "share", {"management": -0.7}, -3.0, 0.7, 1.0),
    Group("invoice_reversal_share_{6m,12m}", "share", {"network": -0.6}, -3.3, 0.8, 1.1),
    Group("largest_buyer_share_{6m,12m}", "share", {"network": -0.6, "size": -0.3}, -0.8, 0.9),
    Group("largest_supplier_share_{6m,12m}", "share", {"network": -0.4, "size": -0.3}, -0.6, 0.9),
    # Utilities
    Group("electricity_kwh_{3m,6m,12m}", "amount", {"size": 0.9}, 8.9, 1.2, 0.7, missing=0.06),
    Group("electricity_change_{6m,12m}", "change", {"growth": 0.6}, 0.01, 0.2, missing=0.06),
    Group(
        "electricity_arrears_days_{6m,12m}",
        "count",
        {"liquidity": -0.8},
        0.4,
        1.1,
        1.1,
        missing=0.06,
    ),
    Group("water_m3_{3m,6m,12m}", "amount", {"size": 0.8}, 5.2, 1.1, 0.8, missing=0.08),
    Group("water_change_{6m,12m}", "change", {"growth": 0.3}, 0.0, 0.2, missing=0.08),
    Group("gas_m3_{6m,12m}", "amount", {"size": 0.6}, 5.6, 1.3, 1.0, missing=0.4),
    Group("heating_arrears_days_12m", "count", {"liquidity": -0.5}, 0.2, 1.0, missing=0.4),
    Group("night_load_share_12m", "share", {"size": 0.3}, -1.2, 0.5, missing=0.06),
    # Courts
    Group(
        "lawsuits_defendant_{12m,36m}",
        "count",
        {"management": -0.6, "network": -0.3},
        -1.1,
        1.0,
        1.0,
        0.7,
    ),
    Group("lawsuits_plaintiff_{12m,36m}", "count", {"size": 0.4}, -1.3, 0.7),
    Group("lawsuit_amount_defendant_36m", "amount", {"management": -0.6}, 9.5, 1.6, missing=0.5),
    Group(
        "enforcement_cases_{12m,36m}",
        "count",
        {"liquidity": -0.7, "compliance": -0.3},
        -1.7,
        1.1,
        1.0,
        0.7,
    ),
    Group("labour_disputes_{12m,36m}", "count", {"management": -0.6}, -1.7, 0.9),
    Group("asset_freezes_36m", "count", {"leverage": 0.6}, -1.8, 0.9),
    Group("mediated_cases_36m", "count", {}, -1.5, 0.6),
    Group("contract_dispute_flag", "flag", {"network": -0.7}, 0.10),
    # Registration
    Group("registered_capital", "amount", {"size": 0.8, "age": 0.2}, 13.8, 1.1, 0.9),
    Group("paid_in_capital_share", "share", {"liquidity": 0.3}, 0.9, 1.1, missing=0.05),
    Group("company_age_months", "days", {"age": 1.0}, 84, 48, 0.2, 0.1),
    Group("address_changes_{12m,36m}", "count", {"network": -0.4}, -1.5, 0.7),
    Group("legal_representative_changes_{12m,36m}", "count", {"management": -0.6}, -1.7, 0.8),
    Group("shareholder_changes_36m", "count", {"management": -0.4}, -1.1, 0.8),
    Group("shareholder_count", "count", {"size": 0.4}, 0.9, 0.4),
    Group("branch_count", "count", {"size": 0.8}, -0.5, 0.9),
    Group("scope_changes_36m", "count", {}, -0.9, 0.5),
    Group("equity_pledge_flag", "flag", {"leverage": 0.8}, 0.09),
    Group("annual_report_delay_days_{12m,24m}", "count", {"compliance": -0.7}, 0.9, 1.1),
    # Penalties and permits
    Group("administrative_penalties_{12m,36m}", "count", {"compliance": -0.7}, -1.6, 1.0),
    Group("penalty_amount_36m", "amount", {"compliance": -0.6}, 7.8, 1.3, missing=0.6),
    Group("environment_inspections_{12m,36m}", "count", {"size": 0.5}, -0.7, 0.6),
    Group("environment_warnings_36m", "count", {"compliance": -0.4}, -1.7, 0.8),
    Group("safety_incidents_36m", "count", {"management": -0.4}, -2.0, 0.8),
    Group("valid_permits", "count", {"size": 0.4, "age": 0.3}, 0.9, 0.5),
    Group("quality_complaints_12m", "count", {"management": -0.5}, -0.8, 0.9),
    # Noise
    _noise("registration_weekday", "code", 7),
    _noise("postal_zone", "code", 12),
    _noise("street_number", "amount", 4.2),
    _noise("filing_hour_median", "code", 24),
    _noise("rainfall_mm_12m", "amount", 6.7, 0.3),
    _noise("district_population_density", "amount", 7.5, 0.8),
    _noise("inspection_lot", "code", 20),
    _noise("archive_shelf", "code", 40),
]

FINTECH = [
    # Flows over the platform
    Group("platform_inflow_{1m,3m,6m,12m}", "amount", {"size": 0.9, "growth": 0.4}, 11.2, 1.2, 0.7),
    Group(
        "platform_outflow_{1m,3m,6m,12m}",
        "amount",
        {"size": 0.9, "liquidity": -0.2},
        11.0,
        1.2,
        0.7,
    ),
    Group("net_flow_share_{1m,3m,6m,12m}", "change", {"liquidity": 0.9}, 0.03, 0.15, 1.1, 0.7),
    Group("flow_volatility_{3m,6m,12m}", "share", {"network": -0.6, "liquidity": -0.3}, -0.9, 0.6),
    Group("end_of_month_balance_6m", "amount", {"liquidity": 0.8, "size": 0.5}, 9.3, 1.4, 1.0),
    # Orders and buyers
    Group("orders_{1m,3m,12m}", "count", {"size": 0.8, "growth": 0.3}, 3.8, 1.0, 0.7, missing=0.05),
    Group("average_order_value_{3m,12m}", "amount", {"size": 0.3}, 6.3, 0.9, missing=0.05),
    Group("refund_share_{3m,12m}", "share", {"management": -0.7}, -2.9, 0.7, missing=0.05),
    Group("chargebacks_{3m,12m}", "count", {"management": -0.5, "network": -0.3}, -1.2, 0.9),
    Group("repeat_buyers_share_{3m,12m}", "share", {"network": 0.8}, -0.4, 0.7, 1.0, missing=0.05),
    Group("buyer_rating", "share", {"management": 0.8}, 1.8, 0.6, 1.0, missing=0.08),
    # Loans on the platform
    Group("platform_loans_open", "count", {"leverage": 0.8}, 0.2, 0.7, 1.0),
    Group(
        "platform_loan_balance",
        "amount",
        {"leverage": 0.7, "size": 0.5},
        10.1,
        1.2,
        0.9,
        missing=0.18,
    ),
    Group(
        "repayment_delay_days_{3m,6m,12m}",
        "count",
        {"liquidity": -0.6, "compliance": -0.4},
        0.5,
        1.1,
        1.0,
        0.7,
        missing=0.18,
    ),
    Group(
        "missed_instalments_{3m,6m,12m}",
        "count",
        {"liquidity": -0.7, "leverage": 0.3},
        -1.0,
        1.0,
        1.0,
        0.7,
        missing=0.18,
    ),
    Group("early_repayments_12m", "count", {"liquidity": 0.5}, -0.4, 0.7, missing=0.18),
    Group(
        "limit_utilisation_{1m,3m,6m}", "share", {"leverage": 0.8, "liquidity": -0.3}, 0.1, 1.0, 1.0
    ),
    Group("loan_applications_{1m,6m}", "count", {"leverage": 0.6, "liquidity": -0.3}, -0.6, 0.9),
    Group("lenders_enquired_{1m,3m,12m}", "count", {"leverage": 0.7}, 0.0, 0.8),
    Group(
        "rejected_applications_{3m,12m}", "count", {"leverage": 0.5, "compliance": -0.3}, -0.9, 0.9
    ),
    Group("days_since_last_application", "amount", {"leverage": -0.5}, 4.4, 1.0, missing=0.1),
    # Use of the platform
    Group("login_days_{1m,3m}", "count", {"management": 0.4, "network": 0.3}, 2.5, 0.5),
    Group("night_login_share_3m", "share", {"management": -0.4}, -2.1, 0.7),
    Group("device_changes_12m", "count", {"network": -0.4}, -0.6, 0.7),
    Group("staff_accounts", "count", {"size": 0.7}, 0.8, 0.6),
    Group("pages_per_visit_3m", "amount", {}, 1.9, 0.5),
    Group("account_age_months", "days", {"age": 0.8}, 40, 22, 0.7),
    Group("password_resets_12m", "count", {}, -0.3, 0.6),
    # Noise
    _noise("app_theme_code", "code", 4),
    _noise("last_digit_of_account", "code", 10),
    _noise("newsletter_opens_3m", "count", 0.8, 0.6),
    _noise("coupon_claims_3m", "count", 0.5, 0.7),
    _noise("survey_score", "code", 6),
    _noise("avatar_code", "code", 16),
    _noise("sms_template_code", "code", 9),
    _noise("ab_test_bucket", "code", 8),
]

TELECOM = [
    # Call patterns
    Group("calls_out_{1m,3m}", "count", {"size": 0.7, "network": 0.3}, 4.2, 0.8, 0.8),
    Group("calls_in_{1m,3m}", "count", {"size": 0.6, "network": 0.4}, 4.0, 0.8, 0.8),
    Group("distinct_contacts_{1m,3m}", "count", {"network": 0.7, "size": 0.4}, 3.3, 0.6, 0.9),
    Group(
        "contact_retention_{3m,6m,12m}", "share", {"network": 1.0}, 0.5, 0.8, 0.9, 0.6, missing=0.04
    ),
    Group("night_call_share_3m", "share", {"management": -0.4}, -2.0, 0.6),
    Group("answered_share_{1m,3m}", "share", {"management": 0.8}, 0.9, 0.7, 1.0),
    Group("calls_to_lenders_{1m,3m}", "count", {"leverage": 0.6, "liquidity": -0.3}, -0.8, 1.0),
    Group("calls_from_collection_3m", "count", {"liquidity": -0.7}, -1.2, 1.0),
    # Bills and lines
    Group("bill_amount_{1m,6m}", "amount", {"size": 0.8}, 5.9, 0.8, 0.8),
    Group(
        "bill_overdue_days_{3m,6m,12m}",
        "count",
        {"compliance": -0.8, "liquidity": -0.2},
        0.6,
        1.1,
        1.0,
        0.7,
        missing=0.03,
    ),
    Group("suspensions_12m", "count", {"compliance": -0.7}, -1.5, 0.9),
    Group("prepaid_flag", "flag", {"size": -0.4}, 0.2),
    Group("broadband_gb_3m", "amount", {"size": 0.5, "growth": 0.3}, 5.8, 1.0, missing=0.12),
    Group("fixed_lines", "count", {"size": 0.7}, 0.6, 0.6),
    Group("line_tenure_months", "days", {"age": 0.7, "network": 0.3}, 55, 30, 0.7),
    Group("number_changes_24m", "count", {"network": -0.6}, -1.2, 0.8),
    # Noise
    _noise("tariff_code", "code", 15),
    _noise("cell_sector", "code", 3),
    _noise("ringtone_code", "code", 25),
]

PARTIES: dict[str, list[Group]] = {
    "bank": BANK,
    "government": GOVERNMENT,
    "fintech": FINTECH,
    "telecom": TELECOM,
}
