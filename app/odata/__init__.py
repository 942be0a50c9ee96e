"""OData v4: the numbers, accounts and feedback as entity sets, which Excel, Power BI and Tableau read without a connector."""
